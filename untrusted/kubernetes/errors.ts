import { SealflowError } from "../../protocol/errors";

/**
 * Append only. KUBECONFIG: the file is missing or damaged, or asks for something this client has not; the user's to mend.
 * CREDENTIALS: the sign-in program failed. API_UNREACHABLE: no answer; try again. API_REFUSED: the server said no.
 * API_NOT_FOUND: there is no such object, or no such kind. API_ANSWER: it answered something that is no Kubernetes.
 */
export type KubernetesCode =
  | "KUBECONFIG"
  | "CREDENTIALS"
  | "API_UNREACHABLE"
  | "API_REFUSED"
  | "API_NOT_FOUND"
  | "API_ANSWER";
export class KubernetesError extends SealflowError<KubernetesCode> {
  /** HTTP status of the server's answer, when there was one. */
  readonly status: number | undefined;

  constructor(code: KubernetesCode, message: string, options: { cause?: unknown; status?: number } = {}) {
    super(code, message, options);
    this.status = options.status;
  }
}

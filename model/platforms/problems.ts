import { ModelError, type Problem } from "../errors";

/**
 * Append only.
 * PLATFORM: unknown, refused, or not for steps. UNUSED: an argument that the platform does not have. INSTANCE: a size of
 * the wrong kind. REGION, IMAGE, KUBERNETES, OS, LABEL, DISK, NETWORK, LOGIN, HOST: what its name says. RUNTIME_CLASS: of
 * another platform, or refused. INITDATA: too large, or bound to nothing. GUEST_IMAGE: boots open without initdata.
 * DEBUG: opens the guest. LEAK: VMs would stay behind.
 */
export type PlatformProblemCode =
  | "PLATFORM"
  | "UNUSED"
  | "INSTANCE"
  | "REGION"
  | "IMAGE"
  | "KUBERNETES"
  | "OS"
  | "LABEL"
  | "DISK"
  | "NETWORK"
  | "LOGIN"
  | "HOST"
  | "RUNTIME_CLASS"
  | "INITDATA"
  | "GUEST_IMAGE"
  | "DEBUG"
  | "LEAK";

/** One thing that is wrong with what is asked of a platform; `at` is a path in PlatformArgs. */
export interface PlatformProblem extends Omit<Problem, "code"> {
  readonly code: PlatformProblemCode;
  /** `warning`: previews print it and go on; used where lists grow, and for what works but is better avoided. */
  readonly severity: "error" | "warning";
}

/** Collects the problems of one check. */
export class Problems {
  readonly found: PlatformProblem[] = [];

  error(code: PlatformProblemCode, at: string, message: string): void {
    this.found.push({ code, severity: "error", at, message });
  }

  warn(code: PlatformProblemCode, at: string, message: string): void {
    this.found.push({ code, severity: "warning", at, message });
  }
}

/** `Platform "cloud": instances.default: …`: one line. */
export const platformProblemText = (name: string, { at, message }: PlatformProblem): string =>
  `Platform "${name.slice(0, 60)}": ${at}: ${message}`;

/** Everything that is wrong with a platform; the message has one line for each. */
export class PlatformError extends ModelError {
  /** Pulumi's mark of a mistake in the program: it shows the message alone, without a stack. */
  readonly __pulumiRunError = true;
  readonly problems: readonly PlatformProblem[];

  /** @param name of the component. */
  constructor(name: string, problems: readonly PlatformProblem[]) {
    super("PLATFORM", problems.map((problem) => platformProblemText(name, problem)).join("\n"));
    this.problems = problems;
  }
}

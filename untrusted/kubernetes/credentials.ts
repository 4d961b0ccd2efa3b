/** What a request is signed in with. Tokens never reach messages. */
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { promisify } from "node:util";
import { KubernetesError } from "./errors";
import type { ExecPlugin, User } from "./kubeconfig";

export interface Credentials {
  readonly authorization?: string;
  readonly cert?: string;
  readonly key?: string;
}

/** Seconds before its end from which a credential is fetched anew. */
const EARLY_MS = 60_000;
const PLUGIN_TIMEOUT_MS = 60_000;

export class SignIn {
  #kept: { credentials: Credentials; until: number } | undefined;

  constructor(
    private readonly user: User,
    private readonly now: () => number = Date.now,
  ) {}

  /** @throws KubernetesError CREDENTIALS. */
  async credentials(): Promise<Credentials> {
    const { token, tokenFile, certificate, basic, exec } = this.user;
    if (token !== undefined) return { authorization: `Bearer ${token}` };
    if (basic !== undefined) return { authorization: `Basic ${basic}` };
    if (certificate) return certificate;
    if (tokenFile !== undefined) return { authorization: `Bearer ${readToken(tokenFile)}` };
    if (!exec) return {};
    if (!this.#kept || this.#kept.until - EARLY_MS < this.now()) this.#kept = await runPlugin(exec);
    return this.#kept.credentials;
  }

  /** After the server refused it. */
  forget(): void {
    this.#kept = undefined;
  }
}

function readToken(file: string): string {
  try {
    return readFileSync(file, "utf8").trim();
  } catch (cause) {
    throw new KubernetesError("CREDENTIALS", `the token's file ${file} cannot be read`, { cause });
  }
}

async function runPlugin({ command, args, env, apiVersion }: ExecPlugin) {
  const info = JSON.stringify({ apiVersion, kind: "ExecCredential", spec: { interactive: false } });
  const environment = { ...process.env, ...env, KUBERNETES_EXEC_INFO: info };
  const options = { env: environment, timeout: PLUGIN_TIMEOUT_MS, maxBuffer: 1024 * 1024 };
  let printed: string;
  try {
    printed = (await promisify(execFile)(command, [...args], options)).stdout;
  } catch (error) {
    // Neither its output nor its arguments: both may hold secrets.
    const { code } = error as { code?: unknown };
    throw new KubernetesError(
      "CREDENTIALS",
      `the sign-in program "${command}" of the kubeconfig failed (${String(code)})`,
    );
  }
  const status = statusIn(printed);
  const { token, clientCertificateData: cert, clientKeyData: key, expirationTimestamp: end } = status;
  if (token === undefined && (cert === undefined || key === undefined)) {
    throw new KubernetesError("CREDENTIALS", `the sign-in program "${command}" printed no credential`);
  }
  return {
    credentials: {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(cert === undefined || key === undefined ? {} : { cert, key }),
    },
    until: end === undefined ? Number.POSITIVE_INFINITY : Date.parse(end),
  };
}

function statusIn(printed: string): Record<string, string | undefined> {
  try {
    return (JSON.parse(printed) as { status?: Record<string, string> }).status ?? {};
  } catch {
    return {};
  }
}

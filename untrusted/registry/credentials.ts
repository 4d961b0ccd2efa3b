/**
 * Credentials of a registry from where Docker and Podman keep them: auth files and credential helpers (sources:
 * containers-auth.json(5); Docker's "Credential stores" in `docker login`; docker-credential-helpers' protocol).
 */
import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { RegistryError } from "./errors";

/** Basic credentials, or a token that is exchanged at the registry's token service. */
export type Credentials = { readonly username: string; readonly password: string } | { readonly identityToken: string };

/** @returns undefined when there are none for this repository. */
export type CredentialSource = (host: string, repository: string) => Promise<Credentials | undefined>;

interface AuthFile {
  readonly auths?: Record<string, AuthEntry>;
  readonly credHelpers?: Record<string, string>;
  readonly credsStore?: string;
}

interface AuthEntry {
  readonly auth?: string;
  readonly username?: string;
  readonly password?: string;
  readonly identitytoken?: string;
}

const HELPER_MS = 30_000;
const MAX_HELPER_BYTES = 64 * 1024;
/** How Docker calls the Hub in its files. */
const HUB_KEY = "https://index.docker.io/v1/";
/** What a helper gives as user when its secret is an identity token. */
const TOKEN_USER = "<token>";

/**
 * The files in the order in which they are asked: $REGISTRY_AUTH_FILE alone when it is set, else Podman's, then
 * Docker's ($DOCKER_CONFIG or ~/.docker).
 */
export function authFiles(env: NodeJS.ProcessEnv = process.env, home = homedir()): string[] {
  if (env.REGISTRY_AUTH_FILE) return [env.REGISTRY_AUTH_FILE];
  const podman = env.XDG_RUNTIME_DIR ? [join(env.XDG_RUNTIME_DIR, "containers", "auth.json")] : [];
  return [...podman, join(env.DOCKER_CONFIG || join(home, ".docker"), "config.json")];
}

/** Reads the files at each call: a login that happened meanwhile counts. */
export function fileCredentials(env: NodeJS.ProcessEnv = process.env, home = homedir()): CredentialSource {
  return async (host, repository) => {
    for (const file of authFiles(env, home)) {
      const found = await fromFile(file, host, repository, env);
      if (found) return found;
    }
    return undefined;
  };
}

/** @throws RegistryError CREDENTIALS. */
async function fromFile(file: string, host: string, repository: string, env: NodeJS.ProcessEnv) {
  if (!existsSync(file)) return undefined;
  const content = readAuthFile(file);
  const helper = content.credHelpers?.[host] ?? (host === "docker.io" ? content.credHelpers?.[HUB_KEY] : undefined);
  if (helper !== undefined) return askHelper(helper, host, file, env);
  const entry = keysOf(host, repository).flatMap((key) => content.auths?.[key] ?? [])[0];
  const stored = entry && fromEntry(entry, file, host);
  if (stored) return stored;
  return content.credsStore ? askHelper(content.credsStore, host, file, env) : undefined;
}

function readAuthFile(file: string): AuthFile {
  try {
    const content: unknown = JSON.parse(readFileSync(file, "utf8"));
    if (typeof content === "object" && content !== null && !Array.isArray(content)) return content;
  } catch (error) {
    // A parser's message quotes what it read; only the system's error code may be shown.
    const why = (error as NodeJS.ErrnoException).code ?? "not JSON";
    throw new RegistryError("CREDENTIALS", `${file}: cannot be read (${why}). Log in to the registry again`);
  }
  throw new RegistryError("CREDENTIALS", `${file}: not an auth file. Log in to the registry again`);
}

/** The most specific first: Podman may log in to a part of a registry. */
function keysOf(host: string, repository: string): string[] {
  const parts = repository.split("/");
  const nested = parts.map((_, i) => [host, ...parts.slice(0, parts.length - i)].join("/"));
  const hub = host === "docker.io" ? [HUB_KEY, "index.docker.io"] : [];
  return [...nested, host, `https://${host}`, `https://${host}/v1/`, `https://${host}/v2/`, ...hub];
}

function fromEntry(entry: AuthEntry, file: string, host: string): Credentials | undefined {
  if (entry.identitytoken) return { identityToken: entry.identitytoken };
  if (entry.username && entry.password !== undefined) return { username: entry.username, password: entry.password };
  // Docker leaves an empty entry where a store keeps the secret.
  if (!entry.auth) return undefined;
  const text = Buffer.from(entry.auth, "base64").toString("utf8");
  const colon = text.indexOf(":");
  if (colon < 1) throw new RegistryError("CREDENTIALS", `${file}: the entry of ${host} is not base64 of user:password`);
  return { username: text.slice(0, colon), password: text.slice(colon + 1).replace(/\0+$/, "") };
}

/** `docker-credential-<name> get`: host on its input, JSON on its output. Neither is ever shown. */
async function askHelper(name: string, host: string, file: string, env: NodeJS.ProcessEnv) {
  const wrong = (why: string) =>
    new RegistryError("CREDENTIALS", `${file}: credential helper docker-credential-${name}: ${why}`);
  if (typeof name !== "string" || !/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name)) {
    throw new RegistryError("CREDENTIALS", `${file}: the name of the credential helper for ${host} is not one`);
  }
  const { code, output } = await runHelper(name, host === "docker.io" ? HUB_KEY : host, env).catch((error) => {
    throw wrong((error as NodeJS.ErrnoException).code === "ENOENT" ? "is not on PATH" : "cannot be started");
  });
  if (code !== 0) {
    // The protocol's only way to say "none"; anything else is a broken helper.
    if (/credentials not found/i.test(output)) return undefined;
    throw wrong(`ended with code ${code} for ${host}. Log in to the registry again`);
  }
  let answer: { Username?: unknown; Secret?: unknown };
  try {
    answer = JSON.parse(output);
  } catch {
    throw wrong("did not answer with JSON");
  }
  const { Username: username, Secret: secret } = answer;
  if (typeof username !== "string" || typeof secret !== "string") throw wrong("did not answer with user and secret");
  if (secret === "") return undefined;
  return username === TOKEN_USER ? { identityToken: secret } : { username, password: secret };
}

function runHelper(name: string, host: string, env: NodeJS.ProcessEnv): Promise<{ code: number; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(`docker-credential-${name}`, ["get"], {
      env,
      stdio: ["pipe", "pipe", "ignore"],
      timeout: HELPER_MS,
    });
    let output = "";
    child.stdout.on("data", (chunk) => {
      output = (output + chunk).slice(0, MAX_HELPER_BYTES);
    });
    child.on("error", reject);
    child.on("close", (code) => resolve({ code: code ?? -1, output }));
    child.stdin.on("error", () => undefined);
    child.stdin.end(`${host}\n`);
  });
}

/** Which cluster, and as whom: the current context of the user's kubeconfig. */
import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import * as path from "node:path";
import { parse } from "yaml";
import { KubernetesError } from "./errors";

export interface Cluster {
  /** Base URL. */
  readonly server: string;
  /** CA, PEM. undefined: the system's. */
  readonly ca?: string;
  /** Only when the kubeconfig says so: the server's certificate is not checked. */
  readonly insecure: boolean;
  /** Name in the server's certificate when it is not the URL's. */
  readonly serverName?: string;
  readonly user: User;
}

/** Ways to sign in. Only one of them is set. */
export interface User {
  readonly token?: string;
  /** Read anew for each request: such tokens are short-lived. */
  readonly tokenFile?: string;
  /** PEM. */
  readonly certificate?: { readonly cert: string; readonly key: string };
  readonly basic?: string;
  readonly exec?: ExecPlugin;
}

/** A program that prints an ExecCredential, as cloud providers have them. */
export interface ExecPlugin {
  readonly apiVersion: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

type Plain = Record<string, unknown>;

/** $KUBECONFIG (the first file of several), else ~/.kube/config. @throws KubernetesError KUBECONFIG. */
export function readKubeconfig(env: Readonly<Record<string, string | undefined>> = process.env): Cluster {
  const [first] = (env.KUBECONFIG ?? "").split(path.delimiter).filter((part) => part !== "");
  const file = first ?? path.join(env.HOME ?? homedir(), ".kube", "config");
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (cause) {
    const remedy = "Set KUBECONFIG to the file of your cluster";
    throw new KubernetesError("KUBECONFIG", `${file}: cannot be read. ${remedy}`, { cause });
  }
  return clusterOf(text, file);
}

/** @param file for messages, and relative paths in it are relative to its folder. @throws KubernetesError KUBECONFIG. */
export function clusterOf(text: string, file: string): Cluster {
  const bad = (what: string): KubernetesError => new KubernetesError("KUBECONFIG", `${file}: ${what}`);
  let config: Plain;
  try {
    config = plain(parse(text));
  } catch {
    throw bad("is no YAML"); // the parser's message would quote the file, which may hold keys
  }
  const named = (list: string, name: unknown, inner: string): Plain => {
    const all = Array.isArray(config[list]) ? (config[list] as unknown[]).map(plain) : [];
    const found = all.find((entry) => entry.name === name);
    if (!found) throw bad(`${list}: there is no "${String(name)}"`);
    return plain(found[inner]);
  };
  const current = config["current-context"];
  if (typeof current !== "string" || current === "") {
    throw bad("has no current-context. Choose one with `kubectl config use-context`");
  }
  const context = named("contexts", current, "context");
  const cluster = named("clusters", context.cluster, "cluster");
  const server = string(cluster.server);
  if (server === undefined || !URL.canParse(server))
    throw bad(`cluster "${String(context.cluster)}": server is no URL`);
  if (cluster["proxy-url"] !== undefined) throw bad("proxy-url is not supported. Use a port-forward or a tunnel");
  const read = (data: unknown, name: unknown): string | undefined => {
    if (typeof data === "string") return Buffer.from(data, "base64").toString("utf8");
    const at = string(name);
    return at === undefined ? undefined : readBeside(file, at, bad);
  };
  const ca = read(cluster["certificate-authority-data"], cluster["certificate-authority"]);
  const serverName = string(cluster["tls-server-name"]);
  return {
    server: server.replace(/\/+$/, ""),
    insecure: cluster["insecure-skip-tls-verify"] === true,
    user: userOf(named("users", context.user, "user"), file, read, bad),
    ...(ca === undefined ? {} : { ca }),
    ...(serverName === undefined ? {} : { serverName }),
  };
}

function userOf(
  user: Plain,
  file: string,
  read: (data: unknown, name: unknown) => string | undefined,
  bad: (what: string) => KubernetesError,
): User {
  const token = string(user.token);
  if (token !== undefined) return { token };
  const tokenFile = string(user.tokenFile);
  if (tokenFile !== undefined) return { tokenFile: path.resolve(path.dirname(file), tokenFile) };
  const cert = read(user["client-certificate-data"], user["client-certificate"]);
  const key = read(user["client-key-data"], user["client-key"]);
  if (cert !== undefined && key !== undefined) return { certificate: { cert, key } };
  if (typeof user.username === "string" && typeof user.password === "string") {
    return { basic: Buffer.from(`${user.username}:${user.password}`).toString("base64") };
  }
  if (user.exec !== undefined) {
    const { command, args, env, apiVersion } = plain(user.exec);
    if (typeof command !== "string") throw bad("users: exec has no command");
    const pairs = Array.isArray(env) ? env.map(plain) : [];
    return {
      exec: {
        command: command.includes("/") ? path.resolve(path.dirname(file), command) : command,
        apiVersion: string(apiVersion) ?? "client.authentication.k8s.io/v1",
        args: Array.isArray(args) ? args.map(String) : [],
        env: Object.fromEntries(pairs.map(({ name, value }) => [String(name), String(value)])),
      },
    };
  }
  if (user["auth-provider"] !== undefined)
    throw bad("auth-provider is gone from Kubernetes; sign in by an exec plugin");
  throw bad("the user has no token, certificate or exec plugin");
}

const plain = (value: unknown): Plain => (typeof value === "object" && value !== null ? (value as Plain) : {});
const string = (value: unknown): string | undefined => (typeof value === "string" && value !== "" ? value : undefined);

function readBeside(file: string, name: string, bad: (what: string) => KubernetesError): string {
  try {
    return readFileSync(path.resolve(path.dirname(file), name), "utf8");
  } catch {
    throw bad(`names ${name}, which cannot be read`);
  }
}

/** Requests to the API server of a cluster. */
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { SignIn } from "./credentials";
import { KubernetesError } from "./errors";
import type { Cluster } from "./kubeconfig";

/** An object as the server has it. Nothing of it is checked: whoever uses a field says what it has to be. */
export interface KubernetesObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly uid?: string;
    readonly resourceVersion?: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
  readonly spec?: unknown;
  readonly status?: unknown;
}

export interface Watched {
  readonly type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK" | "ERROR";
  readonly object: KubernetesObject;
}

const TIMEOUT_MS = 30_000;
const MAX_BYTES = 64 * 1024 * 1024;
/** The server ends a watch after this long; the next one begins where it ended. */
const WATCH_SECONDS = 240;

export class KubernetesClient {
  readonly #signIn: SignIn;
  readonly #agent: HttpAgent | HttpsAgent;

  constructor(private readonly cluster: Cluster) {
    this.#signIn = new SignIn(cluster.user);
    const { ca, insecure, serverName } = cluster;
    this.#agent = cluster.server.startsWith("https:")
      ? new HttpsAgent({
          keepAlive: true,
          rejectUnauthorized: !insecure,
          ...(ca === undefined ? {} : { ca }),
          ...(serverName === undefined ? {} : { servername: serverName }),
        })
      : new HttpAgent({ keepAlive: true });
  }

  get = (path: string): Promise<KubernetesObject> => this.#json("GET", path) as Promise<KubernetesObject>;

  async list(path: string): Promise<{ items: KubernetesObject[]; resourceVersion: string }> {
    const answer = (await this.#json("GET", path)) as {
      items?: KubernetesObject[];
      metadata?: { resourceVersion?: string };
    };
    if (!Array.isArray(answer.items)) throw new KubernetesError("API_ANSWER", `${path}: the answer is no list`);
    return { items: answer.items, resourceVersion: answer.metadata?.resourceVersion ?? "" };
  }

  create = (path: string, object: object): Promise<KubernetesObject> =>
    this.#json("POST", path, object) as Promise<KubernetesObject>;

  /** A JSON merge patch. */
  patch = (path: string, change: object): Promise<KubernetesObject> =>
    this.#json("PATCH", path, change, "application/merge-patch+json") as Promise<KubernetesObject>;

  /** Any other request, such as an apply, a deletion or one to a subresource. @param path with its query. */
  call = (method: string, path: string, body?: object, type?: string): Promise<unknown> =>
    this.#json(method, path, body, type);

  /** Events until the server ends the watch or the signal does. @throws KubernetesError. */
  async *watch(path: string, resourceVersion: string, signal: AbortSignal): AsyncGenerator<Watched> {
    const query = `watch=1&allowWatchBookmarks=true&timeoutSeconds=${WATCH_SECONDS}&resourceVersion=${resourceVersion}`;
    const answer = await this.#send("GET", `${path}${path.includes("?") ? "&" : "?"}${query}`, undefined, { signal });
    if (answer.statusCode !== 200) throw refusal(path, answer.statusCode ?? 0, await text(answer));
    answer.setEncoding("utf8");
    let rest = "";
    try {
      for await (const chunk of answer) {
        rest += chunk as string;
        if (rest.length > MAX_BYTES) throw new KubernetesError("API_ANSWER", `${path}: an event is too large`);
        const lines = rest.split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) if (line !== "") yield JSON.parse(line) as Watched;
      }
    } catch (cause) {
      if (cause instanceof KubernetesError || signal.aborted) throw cause;
      throw new KubernetesError("API_UNREACHABLE", `${this.cluster.server}: the watch broke off`, { cause });
    } finally {
      answer.destroy();
    }
  }

  close(): void {
    this.#agent.destroy();
  }

  async #json(method: string, path: string, body?: object, type = "application/json"): Promise<unknown> {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    let answer = await this.#send(method, path, body, { signal, type });
    if (answer.statusCode === 401) {
      answer.resume();
      this.#signIn.forget();
      answer = await this.#send(method, path, body, { signal, type });
    }
    const content = await text(answer);
    const status = answer.statusCode ?? 0;
    if (status < 200 || status > 299) throw refusal(path, status, content);
    try {
      return JSON.parse(content);
    } catch {
      throw new KubernetesError("API_ANSWER", `${path}: the answer is no JSON`);
    }
  }

  async #send(
    method: string,
    path: string,
    body: object | undefined,
    { signal, type = "application/json" }: { signal: AbortSignal; type?: string },
  ): Promise<IncomingMessage> {
    const { authorization, cert, key } = await this.#signIn.credentials();
    const content = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    const headers = {
      accept: "application/json",
      ...(authorization === undefined ? {} : { authorization }),
      // With its length also for methods that Node would send in chunks: the server answers those with 400.
      ...(content ? { "content-type": type, "content-length": String(content.length) } : {}),
    };
    const url = new URL(`${this.cluster.server}${path}`);
    const send = url.protocol === "https:" ? httpsRequest : httpRequest;
    const options = { method, headers, agent: this.#agent, signal, ...(cert && key ? { cert, key } : {}) };
    return new Promise((resolve, reject) => {
      const sent = send(url, options, resolve);
      sent.on("error", (cause: NodeJS.ErrnoException) => {
        const why = signal.aborted ? "no answer in time" : (cause.code ?? cause.message);
        reject(new KubernetesError("API_UNREACHABLE", `API server ${this.cluster.server}: ${why}`, { cause }));
      });
      sent.end(content);
    });
  }
}

async function text(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of answer) {
    size += (chunk as Buffer).length;
    if (size > MAX_BYTES) throw new KubernetesError("API_ANSWER", "the API server's answer is too large");
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** Its own words: they name the object, and the right that is missing. */
function refusal(path: string, status: number, content: string): KubernetesError {
  let message = content.slice(0, 300);
  try {
    message = (JSON.parse(content) as { message?: string }).message ?? message;
  } catch {
    // Not Kubernetes' own answer, such as a gateway's page; its beginning has to do.
  }
  const code = status === 404 ? "API_NOT_FOUND" : status >= 500 || status === 429 ? "API_UNREACHABLE" : "API_REFUSED";
  return new KubernetesError(code, `API server, ${path.split("?")[0]}: ${message} (${status})`, { status });
}

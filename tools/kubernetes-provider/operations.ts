/** Objects on the API server: server-side apply with strict validation, and waiting as the real provider does. */
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { hasUnknown, plain, UNKNOWN, type Values } from "../../provider/server/values";
import { clusterOf, KubernetesClient, readKubeconfig } from "../../untrusted/kubernetes";
import { readinessOf, timeoutSeconds } from "./await";
import {
  FIELD_MANAGER,
  idOf,
  inputsOf,
  isPatch,
  type Manifest,
  manifestOf,
  outputsOf,
  pathOf,
  projected,
  typeOf,
  UnknownKind,
} from "./objects";

export interface How {
  readonly preview: boolean;
  /** Seconds; 0: the default. */
  readonly timeout: number;
}
export interface Made {
  readonly id: string;
  readonly outputs: Values;
}

/** The object is there, but not as it should be. */
export class NotReady extends Error {
  constructor(
    message: string,
    readonly made: Made,
    readonly inputs: Values,
  ) {
    super(message);
  }
}

/** Kinds and namespaces that are just being made, in milliseconds. */
const PATIENCE_MS = 20_000;
const POLL_MS = 200;
const STRICT = "fieldValidation=Strict";
const APPLY = "application/apply-patch+yaml";

export class Operations {
  #client: KubernetesClient | undefined;
  readonly #ended = new AbortController();

  constructor(private readonly config: Values) {}

  cancel(): void {
    this.#ended.abort(new Error("cancelled"));
  }

  /** @throws Error when no kubeconfig can be read. */
  get client(): KubernetesClient {
    this.#client ??= new KubernetesClient(this.#cluster());
    return this.#client;
  }

  async create(urn: string, inputs: Values, how: How): Promise<Made> {
    const manager = managerOf(urn);
    if (how.preview) return { id: "", outputs: await this.#preview(inputs, manager, "create") };
    const manifest = manifestOf(inputs);
    if (isPatch(urn)) await this.#get(manifest, "a patch needs an object that is there");
    const live = await this.#retry(() => this.#apply(manifest, manager, ""));
    return this.#settled(live, inputs, manager, how);
  }

  async update(_urn: string, olds: Values, news: Values, how: How): Promise<Values> {
    const manager = String(olds[FIELD_MANAGER] ?? managerOf(_urn));
    if (how.preview) return this.#preview(news, manager, "update");
    const live = await this.#apply(manifestOf(news), manager, "");
    return (await this.#settled(live, news, manager, how)).outputs;
  }

  async read(urn: string, id: string, before: { inputs: Values; outputs: Values }) {
    const slash = id.indexOf("/");
    const metadata = slash < 0 ? { name: id } : { namespace: id.slice(0, slash), name: id.slice(slash + 1) };
    const known = Object.keys(before.inputs).length > 0;
    const type = known ? manifestOf(before.inputs) : typeOf(urn);
    const live = await this.#find({ apiVersion: type.apiVersion, kind: type.kind, metadata }, 0);
    if (!live) return undefined;
    const inputs = known ? (projected(live as unknown as Values, before.inputs) as Values) : inputsOf(live);
    return { id, inputs, outputs: outputsOf(live, inputs, String(before.outputs[FIELD_MANAGER] ?? managerOf(urn))) };
  }

  async remove(urn: string, outputs: Values, how: How): Promise<void> {
    const manifest = manifestOf(outputs);
    try {
      if (isPatch(urn)) return await this.#giveBack(manifest, String(outputs[FIELD_MANAGER]));
      await this.removeObject(manifest, how.timeout);
    } catch (error) {
      if (error instanceof UnknownKind) return;
      const { code } = error as { code?: string };
      if (code === "API_UNREACHABLE" && process.env.PULUMI_K8S_DELETE_UNREACHABLE === "true") return;
      throw error;
    }
  }

  /** Deletes in the foreground and waits until it is gone. */
  async removeObject(manifest: Manifest, timeout = 0): Promise<void> {
    const path = await this.#path(manifest, 0);
    const body = { apiVersion: "v1", kind: "DeleteOptions", propagationPolicy: "Foreground" };
    await this.client.call("DELETE", path, body).catch(unlessGone);
    const until = Date.now() + timeoutSeconds(manifest, timeout) * 1000;
    while ((await this.client.call("GET", path).catch(unlessGone)) !== undefined) {
      if (Date.now() > until) throw new Error(`${manifest.kind} ${idOf(manifest)} is not gone in time`);
      await this.#pause();
    }
  }

  applyObject = (manifest: Manifest): Promise<Manifest> =>
    this.#retry(() => this.#apply(manifest, "pulumi-kubernetes-stand-in", ""));

  /** What the server would make of it; without a server, or with values that are not known yet, the inputs. */
  async #preview(inputs: Values, manager: string, verb: "create" | "update"): Promise<Values> {
    const guess: Values = { ...inputs, status: UNKNOWN, [FIELD_MANAGER]: manager };
    if (hasUnknown(inputs)) return guess;
    try {
      const live = await this.#apply(manifestOf(inputs), manager, "&dryRun=All", 0);
      return { ...outputsOf(live, inputs, manager), status: UNKNOWN };
    } catch (error) {
      const { status, code, message } = error as { status?: number; code?: string; message: string };
      // Its namespace or kind is part of the same program, or there is no cluster yet. A server that answers is one: it
      // tells a field it does not know by status 500.
      const silent = code === "API_UNREACHABLE" && (status === undefined || status === 503);
      const later = error instanceof UnknownKind || status === 404 || silent || code === "KUBECONFIG";
      // What is to be replaced is still there.
      if (later || (verb === "create" && status === 422 && /immutable/.test(message))) return guess;
      throw error;
    }
  }

  async #apply(manifest: Manifest, manager: string, query: string, patience = PATIENCE_MS): Promise<Manifest> {
    const { path } = await pathOf(this.client, manifest, { patience, namespace: this.#namespace() });
    const owned = `fieldManager=${manager}&${STRICT}${query}`;
    // An object without a name of its own cannot be applied.
    const live =
      manifest.metadata.name === undefined
        ? await this.client.call("POST", `${path}?${owned}`, manifest)
        : await this.client.call("PATCH", `${path}/${manifest.metadata.name}?force=true&${owned}`, manifest, APPLY);
    return live as Manifest;
  }

  /** Its namespace may be made at the same time, and a webhook or a default account may be seconds late. */
  async #retry<T>(work: () => Promise<T>): Promise<T> {
    for (const until = Date.now() + PATIENCE_MS; ; await this.#pause()) {
      try {
        return await work();
      } catch (error) {
        const { status } = error as { status?: number };
        if (status !== 404 || Date.now() > until) throw error;
      }
    }
  }

  async #settled(first: Manifest, inputs: Values, manager: string, { timeout }: How): Promise<Made> {
    let live = first;
    const seconds = timeoutSeconds(first, timeout);
    const until = Date.now() + seconds * 1000;
    for (;;) {
      const made = { id: idOf(live), outputs: outputsOf(live, inputs, manager) };
      const answer = readinessOf(live);
      if ("failed" in answer) throw new NotReady(answer.failed, made, inputs);
      if (answer.done) return made;
      if (Date.now() > until)
        throw new NotReady(`${live.kind} ${made.id} not ready after ${seconds} s: ${answer.why}`, made, inputs);
      await this.#pause();
      const now = await this.#find(live, 0);
      if (!now) throw new Error(`${live.kind} ${made.id} was deleted while it was waited for`);
      live = now;
    }
  }

  async #giveBack(manifest: Manifest, manager: string): Promise<void> {
    const { apiVersion, kind, metadata } = manifest;
    const bare = { apiVersion, kind, metadata: { name: metadata.name, namespace: metadata.namespace } } as Manifest;
    await this.#apply(bare, manager, "", 0).catch(unlessGone);
  }

  async #path(manifest: Manifest, patience: number): Promise<string> {
    const { path } = await pathOf(this.client, manifest, { patience, namespace: this.#namespace() });
    return `${path}/${manifest.metadata.name}`;
  }

  async #get(manifest: Manifest, why: string): Promise<Manifest> {
    const live = await this.#find(manifest, PATIENCE_MS);
    if (!live) throw new Error(`${manifest.kind} ${idOf(manifest)}: ${why}`);
    return live;
  }

  #find = async (manifest: Manifest, patience: number): Promise<Manifest | undefined> =>
    (await this.client.call("GET", await this.#path(manifest, patience)).catch(unlessGone)) as Manifest | undefined;

  #pause = (): Promise<void> => sleep(POLL_MS, undefined, { signal: this.#ended.signal });

  #namespace = (): string => String(plain(this.config.namespace ?? "default"));

  #cluster() {
    const given = this.config.kubeconfig === undefined ? "" : String(plain(this.config.kubeconfig));
    if (given === "") return readKubeconfig();
    const isText = given.includes("\n") || given.trimStart().startsWith("{");
    return isText ? clusterOf(given, "kubeconfig") : clusterOf(readFileSync(given, "utf8"), given);
  }
}

/** Another resource of the same object is another owner. */
const managerOf = (urn: string): string =>
  `pulumi-kubernetes-${Buffer.from(urn)
    .reduce((sum, byte) => (sum * 31 + byte) >>> 0, 7)
    .toString(16)
    .padStart(8, "0")}`;

function unlessGone(error: unknown): undefined {
  if ((error as { status?: number }).status === 404) return undefined;
  throw error;
}

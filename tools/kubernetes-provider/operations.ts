/** Objects on the API server: server-side apply with strict validation, and waiting as the real provider does. */
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { hasUnknown, isMap, plain, Secret, UNKNOWN, type Value, type Values } from "../../provider/server/values";
import { clusterOf, KubernetesClient, readKubeconfig } from "../../untrusted/kubernetes";
import { readinessOf, timeoutSeconds } from "./await";
import { CREATOR, hasFieldsToTake, takeOver } from "./fields";
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
import { type Settings, settingsOf } from "./settings";

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
const DRY_RUN = "&dryRun=All";
const APPLY = "application/apply-patch+yaml";

export class Operations {
  #client: KubernetesClient | undefined;
  readonly #ended = new AbortController();

  readonly #settings: Settings;

  constructor(private readonly config: Values) {
    this.#settings = settingsOf(config);
  }

  cancel(): void {
    this.#ended.abort(new Error("cancelled"));
  }

  get settings(): Settings {
    return this.#settings;
  }

  /** @throws Error when no kubeconfig can be read. */
  get client(): KubernetesClient {
    this.#client ??= new KubernetesClient(this.#cluster());
    return this.#client;
  }

  async create(urn: string, inputs: Values, how: How): Promise<Made> {
    const manager = managerOf(urn, managerSaid(inputs));
    if (how.preview) return { id: "", outputs: await this.#previewCreate(urn, inputs, manager) };
    const manifest = manifestOf(inputs);
    if (isPatch(urn)) await this.#get(manifest, "a patch needs an object that is there");
    const live = await this.#retry(() =>
      isPatch(urn) || this.#settings.upsert
        ? this.#apply(manifest, manager, { force: this.#force(manifest) })
        : this.#post(manifest).catch(explainExisting),
    );
    return this.#settled(live, inputs, manager, how);
  }

  async update(urn: string, olds: Values, news: Values, how: How): Promise<Values> {
    const manager = managerOf(urn, managerSaid(news), olds[FIELD_MANAGER]);
    if (how.preview) return this.#previewUpdate(urn, news, manager);
    const manifest = manifestOf(news);
    let live = await this.#get(manifest, "it is gone; pulumi refresh notices that");
    if (manifest.kind === "CustomResourceDefinition") {
      live = await this.#put(manifest, live);
    } else {
      if (!isPatch(urn) && hasFieldsToTake(live)) {
        const patch = takeOver(live, manager);
        await this.client.call("PATCH", await this.#path(live, 0), patch, "application/json-patch+json");
      }
      live = await this.#apply(manifest, manager, { force: this.#force(manifest) });
    }
    return (await this.#settled(live, news, manager, how)).outputs;
  }

  async read(urn: string, id: string, before: { inputs: Values; outputs: Values }) {
    const slash = id.indexOf("/");
    const metadata = slash < 0 ? { name: id } : { namespace: id.slice(0, slash), name: id.slice(slash + 1) };
    const known = Object.keys(before.inputs).length > 0;
    const type = known ? manifestOf(before.inputs) : typeOf(urn);
    const live = await this.#read({ apiVersion: type.apiVersion, kind: type.kind, metadata });
    if (!live) return undefined;
    const inputs = known ? (projected(live as unknown as Values, before.inputs) as Values) : inputsOf(live);
    const manager = managerOf(urn, managerSaid(live as unknown as Values), before.outputs[FIELD_MANAGER]);
    return { id, inputs, outputs: outputsOf(live, inputs, manager) };
  }

  async remove(urn: string, outputs: Values, how: How): Promise<void> {
    const manifest = manifestOf(outputs);
    try {
      if (isPatch(urn)) return await this.#giveBack(manifest, String(outputs[FIELD_MANAGER]));
      await this.removeObject(manifest, how.timeout);
    } catch (error) {
      if (error instanceof UnknownKind) return;
      if (isAway(error) && this.#settings.deleteUnreachable) return;
      throw isAway(error) ? unreachable(error) : error;
    }
  }

  /** @returns undefined for an object, or a kind, that is gone. */
  async #read(manifest: Manifest): Promise<Manifest | undefined> {
    try {
      return await this.#find(manifest, 0);
    } catch (error) {
      if (error instanceof UnknownKind || (isAway(error) && this.#settings.deleteUnreachable)) return undefined;
      throw isAway(error) ? unreachable(error) : error;
    }
  }

  /** Deletes in the foreground and waits until it is gone. */
  async removeObject(manifest: Manifest, timeout = 0): Promise<void> {
    const path = await this.#path(manifest, 0);
    const propagationPolicy = propagationOf(manifest);
    const body = { apiVersion: "v1", kind: "DeleteOptions", propagationPolicy };
    await this.client.call("DELETE", path, body).catch(unlessGone);
    const until = Date.now() + timeoutSeconds(manifest, timeout) * 1000;
    for (let live = manifest; ; await this.#pause()) {
      const now = await this.client.call("GET", path).catch((error) => {
        // Nobody says that it is gone while the server is away.
        if (isAway(error) && Date.now() <= until) return live;
        return unlessGone(error);
      });
      if (now === undefined) return;
      live = now as Manifest;
      if (Date.now() <= until) continue;
      const { finalizers } = live.metadata;
      const held = Array.isArray(finalizers) ? `: its finalizers ${finalizers.join(", ")} are still there` : "";
      throw new Error(`${manifest.kind} ${idOf(manifest)} is not gone in time${held}`);
    }
  }

  /** A test's own object, whatever is there. */
  applyObject = (manifest: Manifest): Promise<Manifest> =>
    this.#retry(() => this.#apply(manifest, "pulumi-kubernetes-stand-in", { force: true }));

  /** What the server would make of it; the inputs where it cannot say. */
  async #previewCreate(urn: string, inputs: Values, manager: string): Promise<Values> {
    const guess: Values = { ...inputs, status: UNKNOWN, [FIELD_MANAGER]: manager };
    if (hasUnknown(inputs) || isPatch(urn)) return guess;
    try {
      const manifest = manifestOf(inputs);
      const live = this.#settings.upsert
        ? await this.#apply(manifest, manager, { force: true, dryRun: true })
        : await this.#post(manifest, true);
      return { ...outputsOf(live, inputs, manager), status: UNKNOWN };
    } catch (error) {
      // What is to be replaced is still there, under its name or with fields that do not change.
      const { status, message } = error as { status?: number; message: string };
      const there = status === 409 || (status === 422 && /immutable/.test(message));
      if (there || cannotSay(error)) return guess;
      throw error;
    }
  }

  async #previewUpdate(urn: string, news: Values, manager: string): Promise<Values> {
    const guess: Values = { ...news, status: UNKNOWN, [FIELD_MANAGER]: manager };
    if (hasUnknown(news)) return guess;
    try {
      const manifest = manifestOf(news);
      const live = await this.#get(manifest, "it is gone; pulumi refresh notices that", 0);
      const made =
        manifest.kind === "CustomResourceDefinition"
          ? await this.#put(manifest, live, true)
          : await this.#apply(manifest, manager, {
              // The update takes over first, which a preview cannot.
              force: this.#force(manifest) || (!isPatch(urn) && hasFieldsToTake(live)),
              dryRun: true,
            });
      return { ...outputsOf(made, news, manager), status: UNKNOWN };
    } catch (error) {
      if (cannotSay(error)) return guess;
      throw error;
    }
  }

  #force = ({ metadata }: Manifest): boolean =>
    metadata.annotations?.["pulumi.com/patchForce"] === "true" || this.#settings.patchForce;

  async #apply(
    manifest: Manifest,
    manager: string,
    {
      force = false,
      dryRun = false,
      patience = dryRun ? 0 : PATIENCE_MS,
    }: { force?: boolean; dryRun?: boolean; patience?: number },
  ): Promise<Manifest> {
    const path = await this.#path(manifest, patience);
    const query = `fieldManager=${manager}&force=${force}&${STRICT}${dryRun ? DRY_RUN : ""}`;
    try {
      return (await this.client.call("PATCH", `${path}?${query}`, manifest, APPLY)) as Manifest;
    } catch (error) {
      if ((error as { status?: number }).status !== 409) throw error;
      const what = `Server-Side Apply field conflict detected: the resource managed by field manager "${manager}" had an apply conflict`;
      const remedy =
        "Whoever is named has changed the field. Let the program say what they say, or take it back with PULUMI_K8S_ENABLE_PATCH_FORCE=true or the annotation pulumi.com/patchForce";
      throw new Error(`${what}: ${(error as Error).message}. ${remedy}`, { cause: error });
    }
  }

  async #post(manifest: Manifest, dryRun = false): Promise<Manifest> {
    const { path } = await pathOf(this.client, manifest, {
      patience: dryRun ? 0 : PATIENCE_MS,
      namespace: this.#namespace(),
    });
    const query = `fieldManager=${CREATOR}&${STRICT}${dryRun ? DRY_RUN : ""}`;
    return (await this.client.call("POST", `${path}?${query}`, manifest)) as Manifest;
  }

  /** Definitions are put in place whole: an apply would keep versions that the program no longer has. */
  async #put(manifest: Manifest, live: Manifest, dryRun = false): Promise<Manifest> {
    const { resourceVersion } = live.metadata;
    const whole = { ...manifest, metadata: { ...manifest.metadata, resourceVersion } };
    const query = `fieldManager=${CREATOR}&${STRICT}${dryRun ? DRY_RUN : ""}`;
    return (await this.client.call("PUT", `${await this.#path(manifest, 0)}?${query}`, whole)) as Manifest;
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
      // The object is there: while the server is away there is nothing to do but wait for it.
      const now = await this.#find(live, 0).catch((error) => {
        if (isAway(error)) return live;
        throw error;
      });
      if (!now) throw new Error(`${live.kind} ${made.id} was deleted while it was waited for`);
      live = now;
    }
  }

  async #giveBack(manifest: Manifest, manager: string): Promise<void> {
    const { apiVersion, kind, metadata } = manifest;
    const bare = { apiVersion, kind, metadata: { name: metadata.name, namespace: metadata.namespace } } as Manifest;
    // A kind that is gone does not come back.
    await this.#apply(bare, manager, { patience: 0 }).catch(unlessGone);
  }

  async #path(manifest: Manifest, patience: number): Promise<string> {
    const { path } = await pathOf(this.client, manifest, { patience, namespace: this.#namespace() });
    return `${path}/${manifest.metadata.name}`;
  }

  async #get(manifest: Manifest, why: string, patience = PATIENCE_MS): Promise<Manifest> {
    const live = await this.#find(manifest, patience);
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

/**
 * Another resource of the same object is another owner.
 * @param said by the program
 * @param before the one in the state
 */
function managerOf(urn: string, said: string | undefined, before?: Value): string {
  const given = said ?? before;
  if (typeof given === "string") return given;
  const sum = Buffer.from(urn).reduce((all, byte) => (all * 31 + byte) >>> 0, 7);
  return `${CREATOR}-${sum.toString(16).padStart(8, "0")}`;
}

/** Whom the annotation names as owner; in a preview everything else of an object, and it too, may be unknown. */
function managerSaid({ metadata }: Values): string | undefined {
  const fields = unwrapped(metadata);
  const annotations = isMap(fields) ? unwrapped(fields.annotations) : undefined;
  const said = isMap(annotations) ? unwrapped(annotations["pulumi.com/patchFieldManager"]) : undefined;
  return typeof said === "string" ? said : undefined;
}
const unwrapped = (value: Value | undefined): Value | undefined => (value instanceof Secret ? value.value : value);

function propagationOf({ metadata }: Manifest): string {
  const said = metadata.annotations?.["pulumi.com/deletionPropagationPolicy"]?.toLowerCase();
  return said === "orphan" ? "Orphan" : said === "background" ? "Background" : "Foreground";
}

/** A server that answers is none that is away: it tells a field that it does not know by status 500. */
function isAway(error: unknown): boolean {
  const { status, code } = error as { status?: number; code?: string };
  return code === "API_UNREACHABLE" && (status === undefined || status === 503);
}

/** In a preview: a namespace or kind may be part of the same program, rights may be missing, or there is no cluster yet. */
function cannotSay(error: unknown): boolean {
  const { status, code } = error as { status?: number; code?: string };
  return error instanceof UnknownKind || status === 404 || status === 403 || isAway(error) || code === "KUBECONFIG";
}

function unreachable(cause: unknown): Error {
  const remedy =
    "If the cluster was deleted, PULUMI_K8S_DELETE_UNREACHABLE=true removes what it had from Pulumi's state";
  return new Error(`configured Kubernetes cluster is unreachable: ${(cause as Error).message}. ${remedy}`, { cause });
}

function explainExisting(error: unknown): never {
  if ((error as { status?: number }).status !== 409) throw error;
  const ways =
    "give a renamed resource an alias, adopt the object with pulumi import, change single fields with a Patch resource, or set upsertExistingObjects on the provider";
  throw new Error(`${(error as Error).message}. It is in the cluster already: ${ways}`, { cause: error });
}

function unlessGone(error: unknown): undefined {
  if ((error as { status?: number }).status === 404) return undefined;
  throw error;
}

/** One pod from its binding to its end: runs its containers and reports what became of them. */
import type { ChildProcess } from "node:child_process";
import { appendFileSync, closeSync, mkdirSync, openSync, readSync, rmSync } from "node:fs";
import * as http from "node:http";
import * as https from "node:https";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { KubernetesClient } from "../../kubernetes";
import type { Guests } from "../guests";
import type { ImageSource } from "../images";
import { CONFIDENTIAL_HANDLERS, runInGuest } from "./confidential";
import { ADDRESS, environmentOf, expand } from "./fields";
import { type Program, signalGroup, startProgram } from "./program";
import { type PodReport, statusOf } from "./status";
import type { Container, ContainerState, Pod } from "./types";
import { followVolumes, makeVolumes } from "./volumes";

export interface PodContext {
  readonly client: KubernetesClient;
  /** undefined: this node has no relying party that guests could reach, so confidential pods fail. */
  readonly guests: Guests | undefined;
  readonly images: ImageSource;
  readonly node: string;
  /** Image → what stands for it. */
  readonly programs: Readonly<Record<string, Program>>;
  /** Address of the API server, as pods are told. */
  readonly api: URL;
  /** Folder for folders of pods. */
  readonly folder: string;
  readonly onError: (message: string) => void;
}

/** What containerd runs pods with that name no runtime class. */
const PLAIN_HANDLER = "runc";
const DEFAULT_GRACE_SECONDS = 30;
/** Of a container's last words, as the kubelet cuts them. Bytes. */
const LONGEST_MESSAGE = 4096;
const LONGEST_BACKOFF_MS = 60_000;

export class PodWorker {
  readonly folder: string;
  readonly #states = new Map<string, ContainerState>();
  readonly #ready = new Set<string>();
  readonly #restarts = new Map<string, number>();
  readonly #children = new Set<ChildProcess>();
  readonly #abort = new AbortController();
  readonly #startTime = now();
  #failed: PodReport["failed"];
  #reporting: Promise<void> = Promise.resolve();
  #running: Promise<void> = Promise.resolve();
  #deleting: Promise<void> | undefined;

  constructor(
    private readonly pod: Pod,
    private readonly context: PodContext,
  ) {
    this.folder = join(context.folder, pod.metadata.uid);
  }

  start(): void {
    mkdirSync(join(this.folder, "logs"), { recursive: true, mode: 0o700 });
    this.#running = this.#run();
  }

  /** Was here before this node was started: its processes are gone. */
  lost(): void {
    for (const { name } of this.#containers()) this.#ended(name, 137, "ContainerStatusUnknown", now());
    this.#running = this.#report();
  }

  logOf = (container: string): string => join(this.folder, "logs", `${container}.log`);

  /** Ends the containers, reports it, and lets the API server forget the pod. */
  delete(graceSeconds: number = DEFAULT_GRACE_SECONDS): Promise<void> {
    this.#deleting ??= (async () => {
      await this.stop(graceSeconds);
      await this.#report();
      const { namespace, name, uid } = this.pod.metadata;
      const options = { apiVersion: "v1", kind: "DeleteOptions", gracePeriodSeconds: 0, preconditions: { uid } };
      await this.context.client
        .call("DELETE", `/api/v1/namespaces/${namespace}/pods/${name}`, options)
        .catch(unlessGone);
      rmSync(this.folder, { recursive: true, force: true, maxRetries: 3 });
    })();
    return this.#deleting;
  }

  async stop(graceSeconds: number): Promise<void> {
    this.#abort.abort();
    for (const child of this.#children) signalGroup(child, "SIGTERM");
    const timer = setTimeout(() => {
      for (const child of this.#children) signalGroup(child, "SIGKILL");
    }, graceSeconds * 1000);
    await this.#running;
    clearTimeout(timer);
  }

  #containers = (): Container[] => [...(this.pod.spec.initContainers ?? []), ...this.pod.spec.containers];

  async #run(): Promise<void> {
    const { activeDeadlineSeconds, runtimeClassName } = this.pod.spec;
    const deadline =
      activeDeadlineSeconds === undefined
        ? undefined
        : setTimeout(
            () => {
              this.#failed = {
                reason: "DeadlineExceeded",
                message: "Pod was active on the node longer than the deadline",
              };
              void this.stop(2);
            },
            Math.min(activeDeadlineSeconds * 1000, 2_147_000_000),
          );
    try {
      const handler = runtimeClassName ? await this.#handlerOf(runtimeClassName) : PLAIN_HANDLER;
      if (handler === PLAIN_HANDLER) await this.#runOnHost();
      else if (CONFIDENTIAL_HANDLERS.includes(handler)) await this.#runInGuest();
      else this.#fail("RuntimeClassUnknown", `runtime class ${runtimeClassName}: handler ${handler} is not simulated`);
    } catch (error) {
      this.#fail("NodeError", (error as Error).message);
    } finally {
      clearTimeout(deadline);
      await this.#report();
    }
  }

  /** The class says which of the node's runtimes takes the pod; who can write classes can lead pods elsewhere. */
  async #handlerOf(runtimeClass: string): Promise<string> {
    const path = `/apis/node.k8s.io/v1/runtimeclasses/${runtimeClass}`;
    const { handler } = (await this.context.client.get(path)) as { handler?: string };
    return handler ?? PLAIN_HANDLER;
  }

  #fail(reason: string, message: string): void {
    this.#failed ??= { reason, message: message.slice(0, 1000) };
    for (const { name } of this.#containers()) {
      const state = this.#states.get(name);
      if (!state || !("terminated" in state)) this.#ended(name, 128, reason, now(), message);
    }
  }

  async #runInGuest(): Promise<void> {
    const { guests } = this.context;
    if (!guests) return this.#fail("NoRelyingParty", "this node was started without the addresses of a relying party");
    const names = this.#containers().map(({ name }) => name);
    const startedAt = now();
    for (const name of names) this.#states.set(name, { running: { startedAt } });
    for (const { name } of this.pod.spec.containers) this.#ready.add(name);
    await this.#report();
    const note = (name: string, text: string) =>
      appendFileSync(this.logOf(name), `${now()} ${text}\n`, { mode: 0o600 });
    const end = await runInGuest(this.pod, {
      ...this.context,
      guests,
      signal: this.#abort.signal,
      onStage: (stage) => note(names[0] as string, stage),
      onContainer: ({ container, exitCode, code, reason }) => {
        const name = names[container] as string;
        this.#ended(name, exitCode, code ?? (exitCode === 0 ? "Completed" : "Error"), startedAt, reason);
        void this.#report();
      },
    });
    for (const name of names) {
      const state = this.#states.get(name);
      if (state && "terminated" in state) continue;
      const word = end.code ?? end.end;
      note(name, `exit ${end.exitCode}${word ? ` ${word}` : ""}${end.reason ? `: ${end.reason}` : ""}`);
      this.#ended(name, end.exitCode, end.code ?? (end.exitCode === 0 ? "Completed" : "Error"), startedAt, end.reason);
    }
  }

  async #runOnHost(): Promise<void> {
    const unknown = this.#containers().filter(({ image }) => this.#programOf(image) === undefined);
    if (unknown.length > 0) {
      const images = unknown.map(({ image }) => image).join(", ");
      // An encrypted image ends the same way on a real node: no key outside a guest, so nothing to unpack.
      return this.#fail("ErrImagePull", `${images}: this node cannot run that image outside a guest`);
    }
    await this.#report();
    const volumes = await makeVolumes(this.context.client, this.pod, join(this.folder, "volumes"), this.context.node);
    for (const container of this.pod.spec.initContainers ?? []) {
      if ((await this.#untilGood(container, volumes)) !== 0) return;
    }
    const followed = new AbortController();
    const following = followVolumes(this.context.client, this.pod, volumes, followed.signal);
    await Promise.all(this.pod.spec.containers.map((container) => this.#untilGood(container, volumes)));
    followed.abort();
    await following;
  }

  /** Runs a container as often as the pod's restart policy says. @returns its last exit code. */
  async #untilGood(container: Container, volumes: Record<string, string>): Promise<number> {
    const isInit = this.pod.spec.initContainers?.includes(container) ?? false;
    const policy = this.pod.spec.restartPolicy ?? "Always";
    for (let n = 0; ; n++) {
      const code = await this.#once(container, volumes);
      const again = policy === "Always" ? !isInit || code !== 0 : policy === "OnFailure" && code !== 0;
      if (!again || this.#abort.signal.aborted) return code;
      this.#restarts.set(container.name, n + 1);
      await this.#report();
      await sleep(Math.min(1000 * 2 ** n, LONGEST_BACKOFF_MS), undefined, { signal: this.#abort.signal }).catch(
        () => {},
      );
      if (this.#abort.signal.aborted) return code;
    }
  }

  async #once(container: Container, volumes: Record<string, string>): Promise<number> {
    const { name, image } = container;
    const startedAt = now();
    const lastWords = join(this.folder, "logs", `${name}.last-words`);
    try {
      const given = await environmentOf(this.context.client, this.pod, container, this.context.node);
      const { hostname, port } = this.context.api;
      const env = {
        HOSTNAME: this.pod.metadata.name,
        KUBERNETES_SERVICE_HOST: hostname,
        KUBERNETES_SERVICE_PORT: port,
        ...given,
      };
      const command = container.command?.map((part) => expand(part, env));
      const args = container.args?.map((part) => expand(part, env));
      // What starts after its pod was told to end would be ended by nobody.
      this.#abort.signal.throwIfAborted();
      const child = startProgram({
        container: { ...container, ...(command ? { command } : {}), ...(args ? { args } : {}) },
        program: this.#programOf(image) as Program,
        env,
        volumes,
        folder: this.folder,
        log: this.logOf(name),
        lastWords,
      });
      // Listened for at once: a short program has ended before the API server knows that it runs.
      const ended = new Promise<number>((resolve, reject) => {
        child.on("error", reject);
        child.on("exit", (exit, signal) => resolve(exit ?? (signal === "SIGKILL" ? 137 : 143)));
      });
      ended.catch(() => undefined);
      this.#children.add(child);
      this.#states.set(name, { running: { startedAt } });
      const probe = this.#watchReadiness(container, child);
      await this.#report();
      const code = await ended;
      // What it left behind ends with it, as with its namespace.
      signalGroup(child, "SIGKILL");
      this.#children.delete(child);
      await probe;
      this.#ended(name, code, code === 0 ? "Completed" : "Error", startedAt, beginning(lastWords));
      await this.#report();
      return code;
    } catch (error) {
      this.#ended(name, 128, "StartError", startedAt, (error as Error).message);
      await this.#report();
      return 128;
    }
  }

  /** Ready when it runs, or when its HTTP probe says so; other probes count as passed. */
  async #watchReadiness({ name, readinessProbe }: Container, child: ChildProcess): Promise<void> {
    const probe = readinessProbe?.httpGet;
    const runs = () => child.exitCode === null && child.signalCode === null;
    if (!probe) {
      this.#ready.add(name);
      return;
    }
    const { scheme = "HTTP", port, path = "/" } = probe;
    while (runs() && !(await answers(`${scheme.toLowerCase()}://${ADDRESS}:${port}${path}`))) await sleep(200);
    if (!runs()) return;
    this.#ready.add(name);
    void this.#report();
  }

  #ended(name: string, exitCode: number, reason: string, startedAt: string, message?: string): void {
    this.#ready.delete(name);
    const text = message ? { message: message.slice(0, LONGEST_MESSAGE) } : {};
    this.#states.set(name, { terminated: { exitCode, reason, startedAt, finishedAt: now(), ...text } });
  }

  #programOf = (image: string): Program | undefined =>
    Object.hasOwn(this.context.programs, image) ? this.context.programs[image] : undefined;

  /** One report after the other, so that the last one stands; tried again while the server is away. */
  #report(): Promise<void> {
    const { namespace, name, uid } = this.pod.metadata;
    this.#reporting = this.#reporting.then(async () => {
      const report = { states: this.#states, ready: this.#ready, restarts: this.#restarts, startTime: this.#startTime };
      const failed = this.#failed ? { failed: this.#failed } : {};
      const status = statusOf(this.pod, { ...report, ...failed }, now());
      for (let pause = 200; ; pause = Math.min(pause * 2, 5000)) {
        try {
          // With the uid: a pod of the same name may have taken its place.
          await this.context.client.patch(`/api/v1/namespaces/${namespace}/pods/${name}/status`, {
            metadata: { uid },
            status,
          });
          return;
        } catch (error) {
          const { status: answer, code } = error as { status?: number; code?: string };
          if (code !== "API_UNREACHABLE") {
            if (answer !== 404 && answer !== 409)
              this.context.onError(`${namespace}/${name}: ${(error as Error).message}`);
            return;
          }
          await sleep(pause);
        }
      }
    });
    return this.#reporting;
  }
}

const now = (): string => new Date().toISOString();

/** Of a file that a container wrote, however long it is. */
function beginning(file: string): string {
  const buffer = Buffer.alloc(LONGEST_MESSAGE);
  const handle = openSync(file, "r");
  try {
    return buffer.toString("utf8", 0, readSync(handle, buffer, 0, buffer.length, 0));
  } finally {
    closeSync(handle);
  }
}

/** As the kubelet, which asks no server for its certificate. */
function answers(url: string): Promise<boolean> {
  return new Promise((resolve) => {
    const options = { timeout: 1000, rejectUnauthorized: false };
    const request = (url.startsWith("https:") ? https : http).get(url, options, (answer) => {
      answer.resume();
      resolve((answer.statusCode ?? 500) < 400);
    });
    request.on("timeout", () => request.destroy());
    request.on("error", () => resolve(false));
  });
}

function unlessGone(error: unknown): void {
  if (![404, 409].includes((error as { status?: number }).status ?? 0)) throw error;
}

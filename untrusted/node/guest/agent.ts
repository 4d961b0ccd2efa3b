/** One guest from its start to its end: measured initdata, agent policy, image, data hub, container. */
import type { ChildProcess } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import {
  type AgentPolicy,
  containerRequest,
  loadAgentPolicy,
  parseInitdata,
  parseInitdataAnnotation,
} from "../../../policy";
import { serveCdh } from "./cdh";
import { type OciProcess, startContainer } from "./container";
import { asGuestError, GuestError } from "./errors";
import { digestOfReference, hexOf, isEncrypted, readLayers, unpackLayer } from "./image";
import { AttestationAgent } from "./kbs";
import type { GuestConfig, GuestLine, NodeStage } from "./messages";
import { openPorts } from "./ports";
import { isRunnerPlace } from "./runner-places";

type End = Extract<GuestLine, { exit: number }>;
type Tell = (line: GuestLine) => void;

/** Throws nothing; its last line is `exit`. */
export async function runGuest(config: GuestConfig, tell: Tell): Promise<void> {
  const closers: (() => void)[] = [];
  try {
    const end = await new Guest(config, tell, closers).run();
    tell({ stage: "done" });
    tell(end);
  } catch (error) {
    const known = asGuestError(error);
    tell({ exit: known.exit, code: known.code, reason: known.message });
  } finally {
    for (const close of closers.reverse()) close();
  }
}

class Guest {
  constructor(
    private readonly config: GuestConfig,
    private readonly tell: Tell,
    private readonly closers: (() => void)[],
  ) {}

  async run(): Promise<End> {
    const { requests, ports } = this.config;
    this.tell({ stage: "attesting" });
    const initdata = initdataOf(this.config);
    const policy = policyOf(initdata);
    const sandboxId = String(requests.sandbox.sandbox_id);
    admit(policy, "CreateSandboxRequest", requests.sandbox);
    for (const file of requests.files) admit(policy, "CopyFileRequest", file);
    admit(policy, "CreateContainerRequest", requests.pause);
    admit(policy, "StartContainerRequest", containerRequest("StartContainerRequest", sandboxId));

    this.closers.push(await openPorts(ports));
    const agent = new AttestationAgent(initdata);
    this.closers.push(() => agent.close());
    const data = { served: false };
    const ends: Promise<End>[] = [];
    for (const [i, request] of requests.containers.entries()) {
      // As the host does it: the next one is asked for when this one runs, or was refused.
      const started = await this.#start(policy, agent, request, data).catch((error: unknown): End => {
        const known = asGuestError(error);
        return { exit: known.exit, code: known.code, reason: known.message };
      });
      const end = "exit" in started ? Promise.resolve(started) : this.#follow(started.child);
      ends.push(end.then((last) => this.#tellEnd(i, last)));
    }
    const all = await Promise.all(ends);
    return all.find(({ exit }) => exit !== 0) ?? { exit: 0 };
  }

  /** Creates and starts one container. @throws GuestError. */
  async #start(
    policy: AgentPolicy,
    agent: AttestationAgent,
    request: Record<string, unknown>,
    data: { served: boolean },
  ): Promise<{ child: ChildProcess }> {
    admit(policy, "CreateContainerRequest", request);
    const { mode } = this.config;
    this.tell({ stage: "pulling" });
    const runner = await this.#pull(imageOf(request), agent);
    if (!data.served) {
      if (mode === "process") this.tell({ stage: "waiting" });
      this.closers.push(await serveCdh(agent, mode === "process"));
      data.served = true;
    }
    const id = String(request.container_id);
    admit(policy, "StartContainerRequest", containerRequest("StartContainerRequest", id));
    const places = { root: this.#place("root"), runner, files: this.#place("files") };
    const child = await startContainer((request as { OCI: OciProcess }).OCI, places, mode);
    const hook = this.config.requests.hooks?.[id];
    if (hook) refuseHook(policy, hook, child);
    return { child };
  }

  #tellEnd(container: number, end: End): End {
    const { exit, code, reason } = end;
    if (this.config.requests.containers.length > 1) {
      this.tell({ container, ended: exit, ...(code ? { code } : {}), ...(reason ? { reason } : {}) });
    }
    return end;
  }

  /** @returns folder of the unpacked runner layer. */
  async #pull(reference: string, agent: AttestationAgent): Promise<string> {
    const { layouts, layers: unpacked } = this.config;
    const layout = Object.hasOwn(layouts, reference) ? layouts[reference] : undefined;
    if (layout === undefined) throw new GuestError("IMAGE_MISSING", `image ${reference}: the node has no such image`);
    const layers = await readLayers(layout, digestOfReference(reference));
    const [first, ...others] = layers;
    if (!first || isEncrypted(first))
      throw new GuestError("IMAGE", "image: its first layer is not a plain runner layer");
    const root = this.#place("root");
    const spool = this.#place("spool");
    await mkdir(root, { recursive: true, mode: 0o755 });
    const key = (path: string) => agent.resource(path);
    let runner = unpacked[hexOf(first)];
    if (!runner) {
      runner = this.#place("runner");
      await mkdir(runner, { recursive: true, mode: 0o755 });
      await unpackLayer(layout, first, runner, spool, key, () => false);
    }
    for (const [i, layer] of others.entries()) {
      await unpackLayer(layout, layer, root, spool, key, (path) => i > 0 && isRunnerPlace(path));
    }
    return join(runner, "sealflow");
  }

  async #follow(child: ChildProcess): Promise<End> {
    const stop = () => child.kill("SIGTERM");
    process.once("SIGTERM", stop);
    this.closers.push(() => process.removeListener("SIGTERM", stop));
    const words: { code?: string; unexpected: string[] } = { unexpected: [] };
    const listened = [child.stdout, child.stderr].map((stream) => this.#listen(stream as Readable, words));
    const exit = await new Promise<number>((resolve, reject) => {
      child.on("error", reject);
      child.on("close", (code) => resolve(code ?? 137));
    });
    await Promise.all(listened);
    if (exit === 0) return { exit };
    const { code } = words;
    // Without the runner's own word it did not get to say one: what the loader or the sandbox printed helps.
    const reason = code
      ? undefined
      : `the runner did not start: ${words.unexpected
          .filter((line) => line.trim() !== "")
          .slice(0, 6)
          .join(" | ")
          .slice(0, 400)}`;
    return { exit, ...(code ? { code } : {}), ...(reason ? { reason } : {}) };
  }

  /** The runner prints fixed words only; anything else comes from what starts it. */
  async #listen(stream: Readable, words: { code?: string; unexpected: string[] }): Promise<void> {
    for await (const line of createInterface({ input: stream })) {
      const [, kind, first, second] = /^sealflow-runner (stage|end|exit) ([a-z0-9]+)(?: ([A-Z_]+))?$/.exec(line) ?? [];
      if (kind === "stage" && first) this.#stage(first);
      else if (kind === "end" && first) this.tell({ end: first });
      else if (kind === "exit" && second) words.code = second;
      else words.unexpected.push(line.slice(0, 200));
    }
  }

  #stage(word: string): void {
    const stage = Object.hasOwn(STAGE_OF, word) ? STAGE_OF[word] : undefined;
    if (stage) this.tell({ stage });
  }

  #place = (name: string): string => join(this.config.memory, name);
}

function initdataOf({ annotation }: GuestConfig): string {
  if (!annotation) {
    throw new GuestError("INITDATA", "the manifest has no initdata annotation: the guest would have no policy");
  }
  try {
    return parseInitdataAnnotation(annotation);
  } catch (cause) {
    throw new GuestError("INITDATA", (cause as Error).message, { cause });
  }
}

function policyOf(initdata: string): AgentPolicy {
  try {
    return loadAgentPolicy(parseInitdata(initdata).data["policy.rego"] ?? "");
  } catch (cause) {
    throw new GuestError("INITDATA", (cause as Error).message, { cause });
  }
}

function admit(policy: AgentPolicy, name: string, request: Record<string, unknown>): void {
  const { allowed, reason } = policy.evaluate(name, request);
  if (!allowed) throw new GuestError("POLICY", reason);
}

/** A container whose hook fails is killed, as the kubelet does it. @throws GuestError always. */
function refuseHook(policy: AgentPolicy, hook: Record<string, unknown>, child: ChildProcess): never {
  child.kill("SIGKILL");
  admit(policy, "ExecProcessRequest", hook);
  // Only policies for debugging get here.
  throw new GuestError("UNSUPPORTED", "hooks of containers are not simulated");
}

function imageOf(request: Record<string, unknown>): string {
  const { storages } = request as { storages: { driver: string; source: string }[] };
  return storages.find((s) => s.driver === "image_guest_pull")?.source ?? "";
}

/** The runner's word → the node's. */
const STAGE_OF: Readonly<Record<string, NodeStage>> = {
  waiting: "waiting",
  inputs: "running",
  outputs: "committing",
  committing: "committing",
};

/**
 * What the runner itself costs: from the start of its process to its end after the commit, for a step that does nothing.
 * The container is started as in a simulated guest, in namespaces; KBS and ledger are another process on loopback.
 */
import { randomBytes } from "node:crypto";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { INITDATA_ANNOTATION, parseInitdataAnnotation, podRequests } from "../../policy";
import { serveCdh } from "../../untrusted/node/guest/cdh";
import { type OciProcess, startContainer } from "../../untrusted/node/guest/container";
import { digestOfReference, isEncrypted, readLayers, unpackLayer } from "../../untrusted/node/guest/image";
import { AttestationAgent } from "../../untrusted/node/guest/kbs";
import { type Figure, figure } from "../figure";
import { deploy } from "./deploy";

const GOAL_MS = 350;
const TRIES = Number(process.env.SEALFLOW_BENCH_TRIES ?? 21);

/** From one of the runner's words to the next: what happens there. */
const PARTS = [
  ["start", "bundle", "Node starts"],
  ["bundle", "claiming", "bundle from KBS through the data hub, and a look whether isolation works"],
  ["claiming", "inputs", "claim: ledger's answer, checked"],
  ["inputs", "running", "no inputs"],
  ["running", "outputs", "the empty program: namespaces and Node"],
  ["outputs", "committing", "no outputs"],
  ["committing", "end", "log uploaded, commit recorded"],
  ["end", "exit", "the process ends"],
] as const;

export async function overhead(say: (line: string) => void): Promise<Figure[]> {
  const deployed = await deploy("", { empty: { inputs: {}, outputs: {} } });
  const close: (() => void)[] = [];
  try {
    const job = deployed.jobs.empty;
    const annotation = job?.spec.template.metadata.annotations[INITDATA_ANNOTATION];
    if (!job || !annotation) throw new Error("the step has no Job");
    // A guest has attested before it starts a container: it needed the image's key.
    const agent = new AttestationAgent(parseInitdataAnnotation(annotation));
    close.push(() => agent.close());
    await agent.attest();
    close.push(await serveCdh(agent, true));
    const places = await unpack(deployed.home, job.spec.template.spec.containers[0].image, agent);
    const all: Map<string, number>[] = [];
    for (let i = 0; i < TRIES; i++) {
      const run = await deployed.openRun();
      const id = () => randomBytes(32).toString("hex");
      const pod = { podName: "empty-bench", namespace: "default", sandboxId: id(), containerId: id(), podUid: id() };
      const { step } = podRequests(job, { ...pod, extraEnv: { SEALFLOW_RUN: run } });
      all.push(await timed((step as { OCI: OciProcess }).OCI, places));
      const { state } = await deployed.status(run);
      if (state !== "succeeded") throw new Error(`the empty step ended with its run ${state}`);
      if (i === 0) say("runner: warm, measuring");
    }
    // The first one reads everything from the disk.
    const measured = all.slice(1);
    const between = (from: string, to: string) => median(measured.map((t) => (t.get(to) ?? 0) - (t.get(from) ?? 0)));
    const total = between("start", "exit");
    return [
      figure({
        name: "runner, empty step, start to commit, median",
        value: total,
        unit: "ms",
        against: GOAL_MS,
        atMost: GOAL_MS,
      }),
      ...PARTS.map(([from, to, what]) =>
        figure({ name: `  of it ${what}`, value: between(from, to), unit: "ms", against: Math.round(total) }),
      ),
    ];
  } finally {
    for (const end of close.reverse()) end();
    await deployed.close();
  }
}

async function unpack(home: string, reference: string, agent: AttestationAgent) {
  const name = /\/([a-z0-9][a-z0-9._-]*)@/.exec(reference)?.[1] ?? "";
  const layout = join(home, "images", name);
  const places = { root: join(home, "root"), runner: join(home, "runner", "sealflow"), files: join(home, "files") };
  const spool = join(home, "spool");
  mkdirSync(places.root, { mode: 0o755 });
  mkdirSync(join(home, "runner"));
  const key = (path: string) => agent.resource(path);
  for (const [i, layer] of (await readLayers(layout, digestOfReference(reference))).entries()) {
    const target = i === 0 && !isEncrypted(layer) ? join(home, "runner") : places.root;
    await unpackLayer(layout, layer, target, spool, key, () => false);
  }
  return places;
}

/** @returns milliseconds of every word of the runner, and of its start and its end. */
async function timed(oci: OciProcess, places: Parameters<typeof startContainer>[1]): Promise<Map<string, number>> {
  const times = new Map([["start", performance.now()]]);
  const child = await startContainer(oci, places, "namespaces");
  const lines: string[] = [];
  const read = async (stream: Readable) => {
    for await (const line of createInterface({ input: stream })) {
      lines.push(line);
      const [, stage, end] = /^sealflow-runner (?:stage ([a-z]+)|(end) [a-z]+)/.exec(line) ?? [];
      const word = stage ?? end;
      if (word && !times.has(word)) times.set(word, performance.now());
    }
  };
  const reading = Promise.all([read(child.stdout as Readable), read(child.stderr as Readable)]);
  const code = await new Promise((resolve) => child.on("close", resolve));
  times.set("exit", performance.now());
  await reading;
  if (code !== 0) throw new Error(`the runner ended with ${code}: ${lines.join(" | ")}`);
  return times;
}

const median = (values: number[]): number => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

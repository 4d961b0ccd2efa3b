/** A pipeline of steps that share one image, deployed to a relying party in a process of its own, for measuring. */
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildDescriptor, signDescriptor } from "../../owner/descriptor";
import { sealImage } from "../../owner/image";
import { publicFacts } from "../../owner/keys";
import { openRunRequest, signReadToken } from "../../owner/run-request";
import { ensureRunnerLayer } from "../../owner/runner-layer";
import { deriveStep, type StepPlan } from "../../owner/step";
import { type KubernetesJob, renderJob } from "../../policy";
import type { Connection } from "../../protocol/connection";
import { ownerKey, type Root, runKey } from "../../protocol/keys";
import type { DescriptorStep } from "../../protocol/messages";
import { startDevDetached, stopDev } from "../../relying-party/dev";
import { adminTokens, KbsAdmin, parseAdminKey } from "../../relying-party/kbs-client";
import { LedgerClient, type RunStatus } from "../../relying-party/ledger-client";
import { ROOT } from "../support/child";

/** What a step of a bench has; the rest is the same for all. */
export type BenchStep = Pick<StepPlan, "inputs" | "outputs">;

export interface Deployed {
  readonly home: string;
  readonly connection: Connection;
  readonly jobs: Readonly<Record<string, KubernetesJob>>;
  /** Of KBS, ledger and object store. */
  readonly servicesPid: number;
  /** Folder for the local backend. */
  readonly folder: string;
  openRun(): Promise<string>;
  status(run: string): Promise<RunStatus>;
  close(): Promise<void>;
}

const LIMITS = { timeoutSeconds: 60, waitSeconds: 60, retryLimit: 0, shards: 1 };
/** Steps that are deployed at once. */
const SIDE_BY_SIDE = 16;
/** Compiled, as this file is. */
const DEV = join(__dirname, "..", "..", "relying-party", "dev", "index.js");

/** @param program text of the one program, run by the runner's own Node. */
export async function deploy(program: string, steps: Readonly<Record<string, BenchStep>>): Promise<Deployed> {
  const home = mkdtempSync(join(tmpdir(), "sealflow-bench-"));
  const launcher: [string, ...string[]] = [
    process.execPath,
    "-e",
    "require(process.argv[1]).startDev({ home: process.argv[2] })",
    DEV,
    home,
  ];
  const { connection, pid } = await startDevDetached({ home, launcher });
  const { kbsUrl, ledgerUrl, caPem, ledgerKey } = connection;
  const keyFile = join(home, "dev", "admin-key.jwk");
  const token = adminTokens(parseAdminKey(readFileSync(keyFile, "utf8"), keyFile));
  const kbs = new KbsAdmin({ url: kbsUrl, caPem, token });
  const ledger = new LedgerClient({ url: ledgerUrl, caPem, ledgerKey });

  const root: Root = { secret: new Uint8Array(randomBytes(32)), generation: 1 };
  const facts = publicFacts(root, randomBytes(16).toString("hex"), "bench");
  const source = join(home, "source");
  mkdirSync(source);
  writeFileSync(join(source, "main.js"), program);
  const name = `${facts.ns}-bench`;
  const image = await sealImage({
    name,
    source: { kind: "folder", path: source },
    root,
    ownerPublicKey: facts.ownerPublicKey,
    runnerLayer: await ensureRunnerLayer({ cacheDir: join(ROOT, "node_modules", ".cache", "bench") }),
    layoutDir: join(home, "images", name),
  });

  const folder = join(home, "backend");
  mkdirSync(folder);
  const described: Record<string, DescriptorStep> = {};
  const jobs: Record<string, KubernetesJob> = {};
  const workload: Record<string, object> = {};
  const deployStep = async (step: string, { inputs, outputs }: BenchStep): Promise<void> => {
    const command = ["node", "/app/main.js"];
    const derived = await deriveStep({
      root,
      pipelineUid: facts.pipelineUid,
      step: { name: step, command, env: {}, inputs, outputs, releases: [], limits: LIMITS },
      image: { digest: image.digest, kekId: image.kekId, reference: image.reference },
      connection,
      tee: "sample",
      datasets: {},
      recipients: { owner: facts.releaseKey },
    });
    for (const { path, bytes } of derived.resources) await kbs.putResource(path, bytes);
    await kbs.putGrant(derived.grant.id, derived.grant.value);
    described[step] = derived.descriptorStep;
    const { timeoutSeconds, waitSeconds, shards } = LIMITS;
    const job = renderJob({
      pipeline: "bench",
      step,
      imageReference: image.reference,
      resource: derived.resource,
      annotation: derived.annotation,
      runtimeClass: "sealflow-simulated",
      shards,
      timeoutSeconds,
      waitSeconds,
      cpu: 1,
      memory: "512Mi",
    });
    jobs[step] = job;
    writeFileSync(join(folder, `${step}.job.json`), JSON.stringify(job));
    const after = [...new Set(Object.values(inputs).flatMap(({ from }) => (from ? [from.split(".")[0]] : [])))];
    const backoff = { seconds: 1, factor: 1, maxSeconds: 1 };
    workload[step] = { job: `${step}.job.json`, after, shards: 1, retryLimit: 0, backoff };
  };
  // Side by side, as the engine does it: every write to the key broker waits for the disk.
  const queue = Object.entries(steps);
  const worker = async () => {
    for (let next = queue.shift(); next; next = queue.shift()) await deployStep(...next);
  };
  await Promise.all(Array.from({ length: SIDE_BY_SIDE }, worker));
  writeFileSync(
    join(folder, "workload.json"),
    JSON.stringify({ v: 1, pipeline: "bench", stack: "bench", steps: workload }),
  );
  const descriptor = buildDescriptor({
    facts,
    previous: null,
    ledgerKey,
    steps: described,
    datasets: {},
    releases: {},
  });
  const version = await signDescriptor(descriptor, ownerKey(root));
  await ledger.registerDescriptor(version);
  const random = () => new Uint8Array(randomBytes(32));

  return {
    home,
    connection,
    jobs,
    servicesPid: pid,
    folder,
    async openRun() {
      const { token: head } = await ledger.head();
      const request = { token: version, descriptor, runKey: runKey(root), parameters: {}, head };
      const { token: signed } = await openRunRequest({ ...request, now: new Date(), random: random() });
      return (await ledger.openRun(signed)).run;
    },
    async status(run) {
      return ledger.run(
        run,
        await signReadToken(
          { ledgerKey, pipelineUid: facts.pipelineUid, now: new Date(), random: random() },
          runKey(root),
        ),
      );
    },
    async close() {
      kbs.close();
      ledger.close();
      await stopDev({ home });
      rmSync(home, { recursive: true, force: true });
    },
  };
}

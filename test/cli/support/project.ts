/**
 * A project with a pipeline deployed to a development relying party in this process: keys, bundles and descriptor by
 * owner/, the ledger's own database, and a backend that runs the real runner with the bundle served as a CDH would.
 *
 *   numbers (parameters → list) → square (two shards) → report → release "sum"
 */
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import * as path from "node:path";
import type { Backend } from "../../../cli/run/backend";
import { layoutOf } from "../../../guest/layout";
import { runStep } from "../../../guest/run";
import { buildDescriptor, signDescriptor, signRevocation } from "../../../owner/descriptor";
import {
  createRoot,
  formatRoot,
  type PublicFacts,
  publicFacts,
  writeKeyFile,
  writePrivateFile,
} from "../../../owner/keys";
import { type DerivedStep, deriveStep, type StepPlan } from "../../../owner/step";
import type { Connection } from "../../../protocol/connection";
import { rawPublic } from "../../../protocol/crypto";
import { kekId, ownerReleaseKey, ownerSigningKey, type Root, runKey } from "../../../protocol/keys";
import { type Dev, startDev } from "../../../relying-party/dev";
import { LedgerClient } from "../../../relying-party/ledger-client";

const PROGRAMS: Record<string, string> = {
  numbers: `
    const { readFileSync, writeFileSync } = require("node:fs");
    const { count = 4 } = JSON.parse(readFileSync(process.env.SEALFLOW_PARAMS, "utf8"));
    console.log("numbers up to", count);
    writeFileSync(process.env.SEALFLOW_OUT + "/list", JSON.stringify([...Array(count).keys()]));`,
  square: `
    const { readFileSync, writeFileSync } = require("node:fs");
    const list = JSON.parse(readFileSync(process.env.SEALFLOW_IN + "/list", "utf8"));
    writeFileSync(process.env.SEALFLOW_OUT + "/squares", JSON.stringify(list.map((n) => n * n)));`,
  report: `
    const { readFileSync, readdirSync, writeFileSync } = require("node:fs");
    const { fail } = JSON.parse(readFileSync(process.env.SEALFLOW_PARAMS, "utf8"));
    console.log("\\x1b[2Jsecret of the log");
    if (fail) process.exit(3);
    const dir = process.env.SEALFLOW_IN + "/parts";
    const all = readdirSync(dir).flatMap((f) => JSON.parse(readFileSync(dir + "/" + f, "utf8")));
    writeFileSync(process.env.SEALFLOW_OUT + "/sum", JSON.stringify({ sum: all.reduce((a, b) => a + b, 0), by: "report" }));`,
};

const partnerKeys = generateKeyPairSync("x25519");
/** A named recipient of the release. */
export const PARTNER = { key: partnerKeys.privateKey, publicKey: rawPublic(partnerKeys.publicKey) };

const plan = (name: string, rest: Partial<StepPlan> & Pick<StepPlan, "inputs" | "outputs">, shards = 1): StepPlan => ({
  name,
  command: ["node", `/app/${name}.js`],
  env: {},
  releases: [],
  limits: { timeoutSeconds: 60, waitSeconds: 30, retryLimit: 1, shards },
  trustProgram: "no namespaces in this test",
  ...rest,
});

const PLANS: StepPlan[] = [
  plan("numbers", { inputs: {}, outputs: { list: { format: "json" } } }),
  plan(
    "square",
    { inputs: { list: { from: "numbers.list", format: "json" } }, outputs: { squares: { format: "json" } } },
    2,
  ),
  plan("report", {
    inputs: { parts: { from: "square.squares", format: "json", collect: true } },
    outputs: { sum: { format: "json" } },
    releases: [{ output: "sum", as: "sum", recipients: ["partner"] }],
  }),
];

export interface TestProject {
  readonly dir: string;
  readonly home: string;
  readonly connection: Connection;
  readonly facts: PublicFacts;
  /** The root secret as text. */
  readonly root: string;
  /** Carries out a run with the real runner, steps in order. */
  readonly backend: Backend;
  /** Signs and registers another version; the connection file stays the old one's. */
  nextVersion(): Promise<void>;
  /** Closes the pipeline for good. */
  revoke(): Promise<void>;
  stopServices(): Promise<void>;
  startServices(): Promise<void>;
  close(): Promise<void>;
}

export async function makeProject(): Promise<TestProject> {
  const dir = mkdtempSync(path.join(tmpdir(), "sealflow-cli-"));
  const home = path.join(dir, ".sealflow");
  writeFileSync(path.join(dir, "Pulumi.yaml"), "name: test\nruntime: nodejs\n");
  let dev: Dev | undefined = await startDev({ home, log: () => {} });
  const { connection } = dev;
  const root = createRoot(new Uint8Array(randomBytes(32)));
  const facts = publicFacts(root, randomBytes(16).toString("hex"), "sums");
  const steps = await deriveAll(root, facts, connection);
  const first = await versionOf(root, facts, connection, steps, null);
  const ledger = new LedgerClient({ url: connection.ledgerUrl, ...connection });
  await ledger.registerDescriptor(first);

  const { kbsUrl, ledgerUrl, caPem, ledgerKey } = connection;
  const file = { version: 1, kbsUrl, ledgerUrl, caPem, ledgerKey, name: "sums", stack: "test" };
  const { pipelineUid, ownerPublicKey } = facts;
  const content = { ...file, pipelineUid, ownerPublicKey, descriptor: first };
  writePrivateFile(path.join(home, "pipelines/test/sums.json"), JSON.stringify(content));
  writeKeyFile(path.join(home, "keys/test/sums.run.jwk"), runKey(root));
  writeKeyFile(path.join(home, "keys/test/sums.owner-release.jwk"), ownerReleaseKey(root));

  return {
    dir,
    home,
    connection,
    facts,
    root: formatRoot(root),
    backend: runnerBackend(dir, facts, steps),
    async nextVersion() {
      await ledger.registerDescriptor(await versionOf(root, facts, connection, steps, { token: first, sequence: 1 }));
    },
    async revoke() {
      const order = {
        ledgerKey: connection.ledgerKey,
        pipelineUid,
        descriptor: null,
        reason: "test",
        random: randomBytes(32),
      };
      await ledger.revoke(await signRevocation(order, ownerSigningKey(root)));
    },
    async stopServices() {
      await dev?.close();
      dev = undefined;
    },
    async startServices() {
      dev = await startDev({ home, log: () => {} });
    },
    async close() {
      ledger.close();
      await dev?.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

async function deriveAll(root: Root, facts: PublicFacts, connection: Connection): Promise<Map<string, DerivedStep>> {
  const steps = new Map<string, DerivedStep>();
  const digest = "a".repeat(64);
  for (const step of PLANS) {
    const derived = await deriveStep({
      root,
      pipelineUid: facts.pipelineUid,
      step,
      image: { digest, kekId: kekId(root, digest), reference: `${facts.ns}.sealflow.local/app@sha256:${digest}` },
      connection,
      tee: "sample",
      datasets: {},
      recipients: { owner: facts.releaseKey, partner: PARTNER.publicKey },
    });
    steps.set(step.name, derived);
  }
  return steps;
}

async function versionOf(
  root: Root,
  facts: PublicFacts,
  { ledgerKey }: Connection,
  steps: ReadonlyMap<string, DerivedStep>,
  previous: { token: string; sequence: number } | null,
): Promise<string> {
  const descriptor = buildDescriptor({
    facts,
    previous,
    ledgerKey,
    steps: Object.fromEntries([...steps].map(([name, { descriptorStep }]) => [name, descriptorStep])),
    datasets: {},
    releases: { sum: { from: "report.sum", recipients: ["partner"] } },
    recipients: { partner: PARTNER.publicKey },
  });
  return signDescriptor(descriptor, ownerSigningKey(root));
}

function runnerBackend(dir: string, facts: PublicFacts, steps: ReadonlyMap<string, DerivedStep>): Backend {
  return async ({ run, onProgress, signal }) => {
    for (const { name, limits } of PLANS) {
      for (let shard = 0; shard < limits.shards; shard++) {
        let code = 1;
        for (let attempt = 1; attempt <= limits.retryLimit + 1 && code !== 0; attempt++) {
          if (signal.aborted) return;
          onProgress({ step: name, shard, attempt, phase: "running" });
          code = await runOne(dir, facts, steps.get(name) as DerivedStep, run);
        }
        onProgress({ step: name, shard, attempt: 1, phase: code === 0 ? "committed" : "failed" });
        if (code !== 0) return;
      }
    }
  };
}

/** A guest without namespaces: an image's root on disk, the runner's main function, the bundle behind HTTP. */
async function runOne(dir: string, facts: PublicFacts, step: DerivedStep, run: string): Promise<number> {
  const image = mkdtempSync(path.join(dir, "guest-"));
  const layout = layoutOf(path.join(image, "sealflow", "runner.js"));
  for (const folder of [layout.base, path.dirname(layout.ownerFile), path.join(image, "app")]) mkdirSync(folder);
  writeFileSync(layout.ownerFile, JSON.stringify({ v: 1, ownerPublicKey: facts.ownerPublicKey }));
  for (const [name, text] of Object.entries(PROGRAMS)) writeFileSync(path.join(image, "app", `${name}.js`), text);
  const cdh = createServer((request, answer) => {
    const right = request.url === `/cdh/resource/${step.resource}`;
    answer.writeHead(right ? 200 : 403).end(right ? step.bundle : "");
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => cdh.once("listening", resolve));
  try {
    return await runStep({
      layout,
      env: { SEALFLOW_RESOURCE: step.resource, SEALFLOW_RUN: run },
      execArgv: [],
      report: { stage: () => {}, ended: () => {}, failed: () => {} },
      cdh: `http://127.0.0.1:${(cdh.address() as AddressInfo).port}`,
    });
  } finally {
    cdh.close();
    rmSync(image, { recursive: true, force: true });
  }
}

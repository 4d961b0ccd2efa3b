/** Another owner's pipeline on the same relying party. Its reader runs a hostile program, and its owner helps attacks. */
import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import * as path from "node:path";
import { sealDataset } from "../../owner/dataset";
import { buildDescriptor, signDescriptor, signRevocation } from "../../owner/descriptor";
import { fetchRun } from "../../owner/fetch";
import { sealImage } from "../../owner/image";
import { publicFacts } from "../../owner/keys";
import { openRunRequest, signReadToken } from "../../owner/run-request";
import { ensureRunnerLayer } from "../../owner/runner-layer";
import { deriveStep, type StepPlan } from "../../owner/step";
import { verifyRunFolder } from "../../owner/verify";
import { renderJob } from "../../policy";
import { base64url } from "../../protocol/bytes";
import type { PipelineConnection } from "../../protocol/connection";
import { jwsDigest, signJws } from "../../protocol/jws";
import { ownerKey, ownerReleaseKey, type Root, runKey } from "../../protocol/keys";
import type { DescriptorStep } from "../../protocol/messages";
import { adminTokens, KbsAdmin } from "../../relying-party/kbs-client";
import type { Neighbour } from "../../untrusted/attacks";
import { createNode } from "../../untrusted/node";
import { HOSTILE_PROGRAM } from "./hostile-program";
import { ledgerOf } from "./owner";
import type { Services } from "./services";

const WRITER = `require("node:fs").writeFileSync("/sealflow/out/out", JSON.stringify({ made: true }));`;
const LIMITS = { timeoutSeconds: 60, waitSeconds: 10, retryLimit: 1, shards: 1 };
const PLANS: readonly StepPlan[] = [
  {
    name: "writer",
    command: ["node", "/app/main.js"],
    env: {},
    inputs: { data: { dataset: "data", format: "json" } },
    outputs: { out: { format: "json" } },
    releases: [],
    limits: LIMITS,
  },
  {
    name: "reader",
    command: ["node", "/app/main.js"],
    env: {},
    inputs: { out: { from: "writer.out", format: "json" } },
    outputs: { report: { format: "json" } },
    releases: [{ output: "report", as: "report" }],
    limits: LIMITS,
  },
];

/** Deploys and runs it. The state of the services must be the deployed one. */
export async function deployNeighbour(
  home: string,
  services: Services,
  connection: PipelineConnection,
  route: (port: number) => number,
  cacheDir: string,
): Promise<Neighbour & { close(): void }> {
  const folder = path.join(home, "neighbour");
  mkdirSync(folder, { recursive: true });
  const root: Root = { secret: new Uint8Array(randomBytes(32)), generation: 1 };
  const facts = publicFacts(root, randomBytes(16).toString("hex"), "neighbour");
  const owner = ownerKey(root);
  const random = () => new Uint8Array(randomBytes(32));
  const { client, download } = ledgerOf(services, connection);
  const { caPem, ledgerKey } = connection;
  const kbs = new KbsAdmin({
    url: `https://127.0.0.1:${services.kbs.port}`,
    caPem,
    token: adminTokens(services.adminKey),
  });

  const plain = path.join(folder, "data.json");
  writeFileSync(plain, "{}");
  const sealed = path.join(folder, "data.sealed");
  const data = await sealDataset({ id: "data", path: plain, format: "json", root, out: sealed });
  const datasets = { data: { format: "json" as const, id: "data", ...data, object: `datasets/${data.digest}` } };
  const upload = {
    v: 1,
    ownerPublicKey: facts.ownerPublicKey,
    action: "put",
    digest: data.digest,
    size: data.size,
    issuedAt: Math.floor(Date.now() / 1000),
    nonce: base64url(random()),
  };
  await uploadTo(services, await signJws("sealflow-upload+jwt", upload, owner), readFileSync(sealed));

  const runnerLayer = await ensureRunnerLayer({ cacheDir });
  const steps: Record<string, DescriptorStep> = {};
  const jobs: Record<string, unknown> = {};
  const bundles: Record<string, string> = {};
  for (const plan of PLANS) {
    const source = path.join(folder, plan.name);
    mkdirSync(source, { recursive: true });
    writeFileSync(path.join(source, "main.js"), plan.name === "writer" ? WRITER : HOSTILE_PROGRAM);
    const image = await sealImage({
      name: `${facts.ns}-${plan.name}`,
      source: { kind: "folder", path: source },
      root,
      ownerPublicKey: facts.ownerPublicKey,
      runnerLayer,
      layoutDir: path.join(home, "images", `${facts.ns}-${plan.name}`),
    });
    const derived = await deriveStep({
      root,
      pipelineUid: facts.pipelineUid,
      step: plan,
      image,
      connection,
      tee: "sample",
      datasets: { data: "data" },
      recipients: { owner: facts.releaseKey },
    });
    for (const { path: place, bytes } of derived.resources) await kbs.putResource(place, bytes);
    await kbs.putGrant(derived.grant.id, derived.grant.value);
    steps[plan.name] = derived.descriptorStep;
    bundles[plan.name] = derived.bundle;
    jobs[plan.name] = renderJob({
      pipeline: "neighbour",
      step: plan.name,
      imageReference: image.reference,
      resource: derived.resource,
      annotation: derived.annotation,
      runtimeClass: "sealflow-simulated",
      shards: 1,
      timeoutSeconds: LIMITS.timeoutSeconds,
      waitSeconds: LIMITS.waitSeconds,
      cpu: 1,
      memory: "512Mi",
    });
  }
  const version = { facts, ledgerKey, steps, datasets, releases: { report: { from: "reader.report" } } };
  const first = buildDescriptor({ ...version, previous: null });
  const token = await signDescriptor(first, owner);
  await client.registerDescriptor(token);

  const readToken = () => signReadToken(facts.pipelineUid, runKey(root), new Date(), random());
  const openRun = async (): Promise<string> => {
    const head = (await client.head()).token;
    const request = await openRunRequest({
      token,
      descriptor: first,
      runKey: runKey(root),
      head,
      now: new Date(),
      random: random(),
    });
    return (await client.openRun(request.token)).run;
  };
  const keys = { ownerPublicKey: facts.ownerPublicKey, ledgerKey };
  const run = await openRun();
  const node = createNode({ home, connection, mode: "namespaces", route });
  for (const name of ["writer", "reader"]) {
    const end = await node.runJob(jobs[name], { runHint: run });
    if (end.exitCode !== 0) throw new Error(`neighbour: ${name} ended with ${end.exitCode} ${end.code ?? ""}`);
  }
  const dir = path.join(folder, "run");
  const exported = await client.runLog(run, await readToken());
  const recipient = { name: "owner", key: ownerReleaseKey(root) };
  const fetched = await fetchRun({ exported, dir, download, objects: "all", keys, recipient });
  const report = JSON.parse(readFileSync(fetched.released.report as string, "utf8")) as Record<string, unknown>;

  return {
    descriptor: first,
    token,
    jobs,
    folder: dir,
    report,
    openRun,
    readToken,
    bundle: async (step) => bundles[step] as string,
    async nextVersion() {
      const next = buildDescriptor({ ...version, previous: { token, sequence: first.sequence } });
      await client.registerDescriptor(await signDescriptor(next, owner));
    },
    async revoke() {
      const order = {
        pipelineUid: facts.pipelineUid,
        descriptor: jwsDigest(token),
        reason: "attack",
        random: random(),
      };
      await client.revoke(await signRevocation(order, owner));
    },
    findings: async (place) => (await verifyRunFolder(place, keys)).problems.map(({ code }) => code),
    close() {
      client.close();
      kbs.close();
    },
  };
}

/** Straight to the service: the URL that it answers with names the deployed address, which is not the copy's. */
async function uploadTo({ ledger }: Services, token: string, bytes: Uint8Array): Promise<void> {
  const asked = await ledger.honest(
    new Request("https://ledger/v1/objects", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ token }),
    }),
  );
  const { url } = (await asked.json()) as { url?: string };
  if (url === undefined) return;
  const { status } = await ledger.honest(new Request(url, { method: "PUT", body: Buffer.from(bytes) }));
  if (status !== 201) throw new Error(`neighbour: the data set's upload was answered with ${status}`);
}

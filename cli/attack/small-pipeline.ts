/** A small pipeline of an owner whom the harness plays: sealed, granted and registered on the copy. */
import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import * as path from "node:path";
import { sealDataset } from "../../owner/dataset";
import { buildDescriptor, signDescriptor } from "../../owner/descriptor";
import { sealImage } from "../../owner/image";
import { type PublicFacts, publicFacts } from "../../owner/keys";
import { openRunRequest, signReadToken } from "../../owner/run-request";
import { ensureRunnerLayer } from "../../owner/runner-layer";
import { deriveStep, type StepPlan } from "../../owner/step";
import { renderJob } from "../../policy";
import { base64url } from "../../protocol/bytes";
import type { PipelineConnection } from "../../protocol/connection";
import { signJws } from "../../protocol/jws";
import { ownerKey, type Root, runKey } from "../../protocol/keys";
import type { Descriptor, DescriptorStep, RunImport } from "../../protocol/messages";
import type { KbsAdmin } from "../../relying-party/kbs-client";
import type { LedgerClient } from "../../relying-party/ledger-client";
import type { Services } from "./services";

export const LIMITS = { timeoutSeconds: 60, waitSeconds: 10, retryLimit: 1, shards: 1 };

/** Where pipelines are made, and with whom. */
export interface Site {
  readonly home: string;
  readonly services: Services;
  readonly connection: PipelineConnection;
  readonly kbs: KbsAdmin;
  readonly client: LedgerClient;
  readonly cacheDir: string;
}

export interface Design {
  readonly name: string;
  readonly stackUuid: string;
  readonly root: Root;
  readonly steps: readonly (StepPlan & { readonly main: string })[];
  readonly releases: Readonly<Record<string, { readonly from: string; readonly recipients?: readonly string[] }>>;
  /** Beside the owner. */
  readonly recipients?: Readonly<Record<string, string>>;
  /** Content of the input `data`, if there is one. */
  readonly data?: string;
  readonly previous: { readonly token: string; readonly sequence: number } | null;
}

export interface SmallPipeline {
  readonly facts: PublicFacts;
  readonly descriptor: Descriptor;
  readonly token: string;
  /** Job manifests and bundles by step. */
  readonly jobs: Readonly<Record<string, unknown>>;
  readonly bundles: Readonly<Record<string, string>>;
  /** The next version with the same content. @returns its token. */
  again(): Promise<string>;
  openRun(imports?: Readonly<Record<string, RunImport>>): Promise<string>;
  readToken(): Promise<string>;
}

const random = () => new Uint8Array(randomBytes(32));

/** Deploys one version of it. */
export async function deploySmall(site: Site, design: Design): Promise<SmallPipeline> {
  const { client, kbs, home } = site;
  const { name, root, recipients = {} } = design;
  const facts = publicFacts(root, design.stackUuid, name);
  const owner = ownerKey(root);
  const folder = path.join(home, name, `g${root.generation}`);
  mkdirSync(folder, { recursive: true });
  const datasets = design.data === undefined ? {} : await sealData(site, folder, design.data, root);
  const runnerLayer = await ensureRunnerLayer({ cacheDir: site.cacheDir });
  const steps: Record<string, DescriptorStep> = {};
  const jobs: Record<string, unknown> = {};
  const bundles: Record<string, string> = {};
  for (const { main, ...plan } of design.steps) {
    const source = path.join(folder, plan.name);
    mkdirSync(source, { recursive: true });
    writeFileSync(path.join(source, "main.js"), main);
    const imageName = `${facts.ns}-${plan.name}`;
    const image = await sealImage({
      name: imageName,
      source: { kind: "folder", path: source },
      root,
      ownerPublicKey: facts.ownerPublicKey,
      runnerLayer,
      layoutDir: path.join(home, "images", imageName),
    });
    const derived = await deriveStep({
      root,
      pipelineUid: facts.pipelineUid,
      step: plan,
      image,
      connection: site.connection,
      tee: "sample",
      datasets: { data: "data" },
      recipients: { ...recipients, owner: facts.releaseKey },
    });
    for (const { path: place, bytes } of derived.resources) await kbs.putResource(place, bytes);
    await kbs.putGrant(derived.grant.id, derived.grant.value);
    steps[plan.name] = derived.descriptorStep;
    bundles[plan.name] = derived.bundle;
    jobs[plan.name] = renderJob({
      pipeline: name,
      step: plan.name,
      imageReference: image.reference,
      resource: derived.resource,
      annotation: derived.annotation,
      runtimeClass: "sealflow-simulated",
      shards: 1,
      timeoutSeconds: plan.limits.timeoutSeconds,
      waitSeconds: plan.limits.waitSeconds,
      cpu: 1,
      memory: "512Mi",
    });
  }
  const { ledgerKey } = site.connection;
  const content = { facts, ledgerKey, steps, datasets, releases: design.releases, recipients };
  const descriptor = buildDescriptor({ ...content, previous: design.previous });
  const token = await signDescriptor(descriptor, owner);
  await client.registerDescriptor(token);
  return {
    facts,
    descriptor,
    token,
    jobs,
    bundles,
    async again() {
      const next = buildDescriptor({ ...content, previous: { token, sequence: descriptor.sequence } });
      const signed = await signDescriptor(next, owner);
      await client.registerDescriptor(signed);
      return signed;
    },
    async openRun(imports = {}) {
      const request = await openRunRequest({
        token,
        descriptor,
        runKey: runKey(root),
        imports,
        head: (await client.head()).token,
        now: new Date(),
        random: random(),
      });
      return (await client.openRun(request.token)).run;
    },
    readToken: () =>
      signReadToken({ ledgerKey, pipelineUid: facts.pipelineUid, now: new Date(), random: random() }, runKey(root)),
  };
}

async function sealData({ services, connection: { ledgerKey } }: Site, folder: string, text: string, root: Root) {
  const plain = path.join(folder, "data.json");
  writeFileSync(plain, text);
  const out = path.join(folder, "data.sealed");
  const data = await sealDataset({ id: "data", path: plain, format: "json", root, out });
  const owner = ownerKey(root);
  const upload = {
    v: 1,
    ledgerKey,
    ownerPublicKey: publicFacts(root, "0".repeat(32), "data").ownerPublicKey,
    action: "put",
    digest: data.digest,
    size: data.size,
    issuedAt: Math.floor(Date.now() / 1000),
    nonce: base64url(random()),
  };
  await uploadTo(services, await signJws("sealflow-upload+jwt", upload, owner), readFileSync(out));
  return { data: { format: "json" as const, id: "data", ...data, object: `datasets/${data.digest}` } };
}

/** Straight to the service: the URL that it answers with names the deployed address, which is not the copy's. */
export async function uploadTo({ ledger }: Services, token: string, bytes: Uint8Array): Promise<void> {
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
  if (status !== 201) throw new Error(`the upload of an object was answered with ${status}`);
}

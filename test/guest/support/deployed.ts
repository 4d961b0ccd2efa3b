/** A pipeline that is really deployed: relying party in this process, sealed images, grants, descriptor, manifests. */
import { randomBytes } from "node:crypto";
import { createReadStream, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sealDataset } from "../../../owner/dataset";
import { buildDescriptor, signDescriptor } from "../../../owner/descriptor";
import { type Fetched, fetchRun } from "../../../owner/fetch";
import { ciphertextOf, readLog, verifiedAttempts } from "../../../owner/fetch/attempts";
import { sealImage } from "../../../owner/image";
import { publicFacts } from "../../../owner/keys";
import { logObject, openObject, releasedObject } from "../../../owner/release";
import { openRunRequest, signReadToken } from "../../../owner/run-request";
import { deriveStep, type StepPlan } from "../../../owner/step";
import { type KubernetesJob, renderJob } from "../../../policy";
import { base64url } from "../../../protocol/bytes";
import type { Connection } from "../../../protocol/connection";
import { sha256hex } from "../../../protocol/crypto";
import type { Format } from "../../../protocol/formats";
import { signJws } from "../../../protocol/jws";
import { ownerReleaseKey, ownerSigningKey, type Root, runKey } from "../../../protocol/keys";
import type { Descriptor, DescriptorDataset, DescriptorStep, Predicate } from "../../../protocol/messages";
import { type Dev, startDev } from "../../../relying-party/dev";
import { HttpsClient } from "../../../relying-party/http/client";
import { KbsAdmin } from "../../../relying-party/kbs-client";
import { LedgerClient } from "../../../relying-party/ledger-client";
import { devAdminTokens } from "../../support/admin-key";
import { testRunnerLayer } from "./runner-layer";

export interface StepSource extends Partial<Omit<StepPlan, "name" | "limits">> {
  /** Content of /app: file → text. */
  readonly files: Readonly<Record<string, string>>;
  readonly limits?: Partial<StepPlan["limits"]>;
}

export interface PipelineSource {
  readonly steps: Readonly<Record<string, StepSource>>;
  readonly datasets?: Readonly<Record<string, { readonly format: Format; readonly content: string | Uint8Array }>>;
}

export interface Deployed {
  readonly home: string;
  readonly connection: Connection;
  readonly ledger: LedgerClient;
  readonly kbs: KbsAdmin;
  readonly root: Root;
  readonly descriptor: Descriptor;
  readonly token: string;
  readonly jobs: Readonly<Record<string, KubernetesJob>>;
  readonly resources: Readonly<Record<string, string>>;
  readonly ownerPublicKey: string;
  /** Step → its bundle. */
  readonly bundles: Readonly<Record<string, string>>;
  /** Step → id of its grant. */
  readonly grants: Readonly<Record<string, string>>;
  openRun(parameters?: Record<string, unknown>): Promise<string>;
  readToken(): Promise<string>;
  /** Verified folder with opened releases. */
  fetch(run: string): Promise<{ fetched: Fetched; dir: string }>;
  /** Content of a release of one shard, also while the run is not finished. */
  released(run: string, release: string): Promise<string>;
  /** Predicates of all receipts, in the order of the ledger. */
  receipts(run: string): Promise<Predicate[]>;
  /** Logs of all attempts, in the order of the ledger. */
  logs(run: string): Promise<string[]>;
  close(): Promise<void>;
}

const LIMITS = { timeoutSeconds: 60, waitSeconds: 20, retryLimit: 1, shards: 1 };

export interface DeployOptions {
  /** An existing relying party to deploy into. */
  readonly running?: { readonly home: string; readonly dev: Dev };
  /** Another layer than the real one. */
  readonly layer?: (home: string) => Promise<{ path: string; digest: string; size: number }>;
}

export async function deploy(
  source: PipelineSource,
  { running, layer = testRunnerLayer }: DeployOptions = {},
): Promise<Deployed> {
  const home = running?.home ?? mkdtempSync(join(tmpdir(), "sealflow-guest-"));
  const dev = running?.dev ?? (await startDev({ home, log: () => undefined }));
  const { connection } = dev;
  const root: Root = { secret: new Uint8Array(randomBytes(32)), generation: 1 };
  const facts = publicFacts(root, randomBytes(16).toString("hex"), "test");
  const kbs = new KbsAdmin({ url: connection.kbsUrl, caPem: connection.caPem, token: devAdminTokens(home) });
  const ledger = new LedgerClient({
    url: connection.ledgerUrl,
    caPem: connection.caPem,
    ledgerKey: connection.ledgerKey,
  });
  const owner = ownerSigningKey(root);

  const datasets: Record<string, DescriptorDataset> = {};
  for (const [name, { format, content }] of Object.entries(source.datasets ?? {})) {
    const path = join(home, `${name}.plain`);
    writeFileSync(path, content);
    const out = join(home, `${name}.sealed`);
    const sealed = await sealDataset({ id: name, path, format, root, out });
    datasets[name] = { format, id: name, ...sealed, object: `datasets/${sealed.digest}` };
    const request = {
      v: 1,
      ledgerKey: connection.ledgerKey,
      ownerPublicKey: facts.ownerPublicKey,
      action: "put",
      digest: sealed.digest,
      size: sealed.size,
      issuedAt: Math.floor(Date.now() / 1000),
      nonce: base64url(randomBytes(32)),
    };
    await ledger.upload(await signJws("sealflow-upload+jwt", request, owner), () => createReadStream(out));
  }

  const steps: Record<string, DescriptorStep> = {};
  const jobs: Record<string, KubernetesJob> = {};
  const resources: Record<string, string> = {};
  const grants: Record<string, string> = {};
  const bundles: Record<string, string> = {};
  const releases: Record<string, { from: string }> = {};
  const runnerLayer = await layer(home);
  for (const [name, step] of Object.entries(source.steps)) {
    const folder = join(home, "source", name);
    mkdirSync(folder, { recursive: true });
    for (const [file, text] of Object.entries(step.files)) writeFileSync(join(folder, file), text);
    const image = `${facts.ns}-${name}`;
    const sealed = await sealImage({
      name: image,
      source: { kind: "folder", path: folder },
      root,
      ownerPublicKey: facts.ownerPublicKey,
      runnerLayer,
      layoutDir: join(home, "images", image),
    });
    const { files: _files, limits, ...given } = step;
    const plan: StepPlan = {
      name,
      command: ["node", "/app/main.js"],
      env: {},
      inputs: {},
      outputs: {},
      releases: Object.keys(step.outputs ?? {}).map((output) => ({ output, as: `${name}-${output}` })),
      ...given,
      limits: { ...LIMITS, ...limits },
    };
    const derived = await deriveStep({
      root,
      pipelineUid: facts.pipelineUid,
      step: plan,
      image: { digest: sealed.digest, kekId: sealed.kekId, reference: sealed.reference },
      connection,
      tee: "sample",
      datasets: Object.fromEntries(Object.keys(datasets).map((d) => [d, d])),
      recipients: { owner: facts.releaseKey },
    });
    for (const { path, bytes } of derived.resources) await kbs.putResource(path, bytes);
    await kbs.putGrant(derived.grant.id, derived.grant.value);
    grants[name] = derived.grant.id;
    bundles[name] = derived.bundle;
    steps[name] = derived.descriptorStep;
    resources[name] = derived.resource;
    for (const { output, as } of plan.releases) releases[as] = { from: `${name}.${output}` };
    jobs[name] = renderJob({
      pipeline: "test",
      step: name,
      imageReference: sealed.reference,
      resource: derived.resource,
      annotation: derived.annotation,
      runtimeClass: "sealflow-simulated",
      shards: plan.limits.shards,
      timeoutSeconds: plan.limits.timeoutSeconds,
      waitSeconds: plan.limits.waitSeconds,
      cpu: 1,
      memory: "512Mi",
    });
  }
  const descriptor = buildDescriptor({
    facts,
    previous: null,
    ledgerKey: connection.ledgerKey,
    steps,
    datasets,
    releases,
  });
  const token = await signDescriptor(descriptor, owner);
  await ledger.registerDescriptor(token);

  const readToken = () =>
    signReadToken(
      {
        ledgerKey: connection.ledgerKey,
        pipelineUid: facts.pipelineUid,
        now: new Date(),
        random: new Uint8Array(randomBytes(32)),
      },
      runKey(root),
    );
  let fetches = 0;
  const store = new HttpsClient({ url: connection.ledgerUrl, caPem: connection.caPem });
  const download = async (url: string) => {
    const { pathname, search } = new URL(url);
    return store.stream("GET", pathname + search);
  };
  return {
    home,
    connection,
    ledger,
    kbs,
    root,
    descriptor,
    token,
    jobs,
    resources,
    ownerPublicKey: facts.ownerPublicKey,
    bundles,
    grants,
    readToken,
    async openRun(parameters = {}) {
      const head = await ledger.head();
      const request = await openRunRequest({
        token,
        descriptor,
        runKey: runKey(root),
        parameters,
        head: head.token,
        now: new Date(),
        random: new Uint8Array(randomBytes(32)),
      });
      return (await ledger.openRun(request.token)).run;
    },
    async fetch(run) {
      const dir = join(home, `fetched-${fetches++}`);
      const exported = await ledger.runLog(run, await readToken());
      const fetched = await fetchRun({
        dir,
        exported,
        download,
        keys: { ownerPublicKey: facts.ownerPublicKey, ledgerKey: connection.ledgerKey },
        recipient: { name: "owner", key: ownerReleaseKey(root) },
      });
      return { fetched, dir };
    },
    async released(run, release) {
      const exported = await ledger.runLog(run, await readToken());
      const { attempts } = await verifiedAttempts(exported, facts.ownerPublicKey);
      const attempt = attempts.find(({ commit }) => Object.hasOwn(commit.releases, release));
      if (!attempt) throw new Error(`${release} is not released`);
      const object = await releasedObject(descriptor, attempt, release, { name: "owner", key: ownerReleaseKey(root) });
      const pieces: Buffer[] = [];
      const ciphertext = await ciphertextOf(exported, object, download);
      for await (const piece of openObject(object, ciphertext)) pieces.push(Buffer.from(piece));
      return Buffer.concat(pieces).toString("utf8");
    },
    async receipts(run) {
      const exported = await ledger.runLog(run, await readToken());
      const { attempts } = await verifiedAttempts(exported, facts.ownerPublicKey);
      return attempts.map(({ receipt }) => receipt.predicate);
    },
    async logs(run) {
      const exported = await ledger.runLog(run, await readToken());
      const { attempts } = await verifiedAttempts(exported, facts.ownerPublicKey);
      const texts: string[] = [];
      for (const attempt of attempts) {
        texts.push(await readLog(exported, await logObject(attempt, ownerReleaseKey(root)), download));
      }
      return texts;
    },
    async close() {
      store.close();
      ledger.close();
      kbs.close();
      if (!running) {
        await dev.close();
        rmSync(home, { recursive: true, force: true });
      }
    },
  };
}

export const digestOf = (text: string): string => sha256hex(text);

/**
 * Old never opens new, on a running key broker: for every kind of change, what the guest of the old version gets, and
 * what a broker that was rolled back can do. And what a pipeline's guests get together: exactly its edges.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openBundle } from "../../guest/bundle";
import type { GuestSettings } from "../../model";
import { type DerivedStep, type DeriveStepOptions, deriveStep, type StepPlan } from "../../owner/step";
import { parseInitdataAnnotation, renderJob, stepGuest } from "../../policy";
import { base64url, utf8 } from "../../protocol/bytes";
import { publicKey } from "../../protocol/crypto";
import { verifyJws } from "../../protocol/jws";
import { fingerprint, kekId, namespaceOf } from "../../protocol/keys";
import { bundle } from "../../protocol/messages";
import { createDevKbs, type DevKbs } from "../../relying-party/dev-kbs";
import { HttpsClient } from "../../relying-party/http/client";
import { adminTokens, KbsAdmin, type KbsError, sampleHandshake } from "../../relying-party/kbs-client";
import { hex, makeWorld } from "../owner/support/pipeline";
import { TEST_ADMIN, TEST_ADMIN_KEY } from "../support/admin-key";
import { serveHttps, type TestServer } from "../support/https";

const world = makeWorld("old-new");
const ns = namespaceOf(fingerprint(world.root));
let dir: string;
let kbs: DevKbs;
let server: TestServer;
let admin: KbsAdmin;
let http: HttpsClient;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "sealflow-old-new-"));
  kbs = createDevKbs({ dir, admin: TEST_ADMIN });
  server = await serveHttps((request) => kbs.handle(request));
  admin = new KbsAdmin({ url: server.url, caPem: server.caPem, token: adminTokens(TEST_ADMIN_KEY) });
  http = new HttpsClient({ url: server.url, caPem: server.caPem });
  await admin.putPolicies();
});
afterAll(async () => {
  admin.close();
  http.close();
  await server.close();
  kbs.close();
  rmSync(dir, { recursive: true });
});

const imageOf = (name: string): DeriveStepOptions["image"] => ({
  digest: `sha256:${hex(`sealed ${name}`)}`,
  kekId: kekId(world.root, hex(`manifest ${name}`)),
  reference: `${ns}.sealflow.local/${name.split(" ")[0]}@sha256:${hex(`sealed ${name}`)}`,
});
const PLAN: StepPlan = {
  name: "train",
  command: ["node", "/app/train.js"],
  env: { MODE: "fast", SEED: "1" },
  inputs: { data: { from: "split.train", format: "jsonl" }, words: { dataset: "words", format: "text" } },
  outputs: { model: { format: "json" } },
  releases: [{ output: "model", as: "model" }],
  limits: { timeoutSeconds: 60, waitSeconds: 60, retryLimit: 2, shards: 1 },
};
const base = (): DeriveStepOptions => ({
  root: world.root,
  pipelineUid: world.facts.pipelineUid,
  step: PLAN,
  image: imageOf("train"),
  connection: {
    kbsUrl: server.url,
    ledgerUrl: "https://127.0.0.1:8444",
    caPem: server.caPem,
    ledgerKey: world.ledgerKey,
  },
  tee: "sample",
  datasets: { words: "english" },
  recipients: { owner: world.facts.releaseKey },
});

const deploy = async (step: DerivedStep): Promise<void> => {
  for (const { path, bytes } of step.resources) await admin.putResource(path, bytes);
  await admin.putGrant(step.grant.id, step.grant.value);
};
/** What a guest booted with a step's initdata gets of these paths. */
const obtains = async (step: DerivedStep, paths: readonly string[]): Promise<string[]> => {
  const guest = await sampleHandshake(http, parseInitdataAnnotation(step.annotation));
  const got: string[] = [];
  for (const path of paths) {
    const answer = await guest.resource(path).then(
      () => "ok",
      (error: KbsError) => error.code,
    );
    if (answer === "ok") got.push(path);
  }
  return got.sort();
};
const pathsOf = (step: DerivedStep): string[] => step.resources.map(({ path }) => path).sort();

/** deriveStep of a package whose agent policy has one rule more. */
async function withOtherRules(options: DeriveStepOptions): Promise<DerivedStep> {
  let made: DerivedStep | undefined;
  await jest.isolateModulesAsync(async () => {
    jest.doMock("../../policy/assets", () => {
      const real = jest.requireActual<typeof import("../../policy/assets")>("../../policy/assets");
      return {
        asset: (name: string) =>
          name === "agent/rules.rego"
            ? Buffer.from(
                real
                  .asset(name)
                  .toString()
                  .replace("StatsContainerRequest if", "StatsContainerRequest if false\n\nStatsContainerRequest if"),
              )
            : real.asset(name),
      };
    });
    const isolated = require("../../owner/step") as typeof import("../../owner/step");
    made = await isolated.deriveStep(options);
    jest.dontMock("../../policy/assets");
  });
  return made as DerivedStep;
}

type Change = (options: DeriveStepOptions) => DeriveStepOptions;
const step =
  (change: Partial<StepPlan>): Change =>
  (o) => ({ ...o, step: { ...o.step, ...change } });
const connection =
  (change: Partial<DeriveStepOptions["connection"]>): Change =>
  (o) => ({ ...o, connection: { ...o.connection, ...change } });

const guest =
  (settings: GuestSettings): Change =>
  (o) => ({ ...o, guest: settings });

const CHANGES: [string, Change][] = [
  ["command", step({ command: ["node", "/app/other.js"] })],
  ["an argument", step({ command: ["node", "/app/train.js", "--fast"] })],
  ["env", step({ env: { MODE: "slow", SEED: "1" } })],
  ["an edge", step({ inputs: { ...PLAN.inputs, data: { from: "split.test", format: "jsonl" } } })],
  ["a format", step({ outputs: { model: { format: "bytes" } } })],
  ["image", (o) => ({ ...o, image: imageOf("train 2") })],
  ["policy", (o) => o],
  ["KBS URL", connection({ kbsUrl: "https://localhost:1" })],
  ["KBS certificate", (o) => connection({ caPem: `${o.connection.caPem}${o.connection.caPem}` })(o)],
  [
    "a recipient",
    (o) => ({
      ...step({ releases: [{ output: "model", as: "model", recipients: ["partner"] }] })(o),
      recipients: { ...o.recipients, partner: base64url(new Uint8Array(32).fill(9)) },
    }),
  ],
  ["a limit", step({ limits: { ...PLAN.limits, retryLimit: 5 } })],
  ["where images are pulled from", guest({ images: { mirrors: [{ prefix: "docker.io", mirrors: ["mirror.test"] }] } })],
  ["logs and exec in the guest", guest({ debugGuests: "looking for a fault" })],
];

describe.each(CHANGES)("after a change of %s", (what, change) => {
  let before: DerivedStep;
  let after: DerivedStep;
  beforeAll(async () => {
    before = await deriveStep(base());
    after = await (what === "policy" ? withOtherRules : deriveStep)(change(base()));
    await deploy(before);
    await deploy(after);
  });

  it("identity, program and bundle path are others", () => {
    expect(after.identity).not.toBe(before.identity);
    expect(after.programId).not.toBe(before.programId);
    expect(after.resource).not.toBe(before.resource);
    expect(after.publicKey).not.toBe(before.publicKey);
  });

  it("the old guest gets nothing that is the new version's own, and the new guest gets its own", async () => {
    const every = [...new Set([...pathsOf(before), ...pathsOf(after)])];
    expect(await obtains(before, every)).toEqual(pathsOf(before));
    expect(await obtains(after, every)).toEqual(pathsOf(after));
    expect(pathsOf(before)).not.toContain(after.resource);
    if (what === "image") expect(pathsOf(before).filter((p) => pathsOf(after).includes(p))).toEqual([]);
  });

  it("the old bundle signs nothing that passes as the new step", async () => {
    const owner = publicKey("Ed25519", world.facts.ownerPublicKey);
    const [old, now] = await Promise.all(
      [before, after].map((s) => verifyJws("sealflow-bundle+jwt", s.bundle, owner, bundle)),
    );
    expect(old?.signingSeed).not.toBe(now?.signingSeed);
  });

  it("a broker rolled back to the old bundle, under the new path, serves what the runner refuses", async () => {
    const address = { ns, programId: after.programId, resource: after.resource } as never;
    await expect(openBundle(after.bundle, address, world.facts.ownerPublicKey)).resolves.toMatchObject({
      programId: after.programId,
    });
    await expect(openBundle(before.bundle, address, world.facts.ownerPublicKey)).rejects.toMatchObject({
      code: "BUNDLE_PROGRAM",
    });
  });

  it("the old version, retired, gets nothing at all", async () => {
    await admin.revokeGrant(before.grant.id);
    await admin.deleteResource(before.resource);
    expect(await obtains(before, [...pathsOf(before), ...pathsOf(after)])).toEqual([]);
    expect(await obtains(after, pathsOf(after))).toEqual(pathsOf(after));
  });
});

describe("what a platform's guests read for themselves", () => {
  it("is granted with the step's own, and only to guests of that platform", async () => {
    const images = { credentialsUri: "kbs:///team/registry/login", securityPolicyUri: "kbs:///team/images/policy" };
    const set = await deriveStep(guest({ images, reads: ["kbs:///team/images/cosign"] })(base()));
    const without = await deriveStep(base());
    const own = ["team/images/cosign", "team/images/policy", "team/registry/login"];
    for (const path of own) await admin.putResource(path, utf8(path));
    await deploy(set);
    await deploy(without);
    expect(await obtains(set, own)).toEqual(own);
    expect(await obtains(without, own)).toEqual([]);
  });
});

describe("an identity stays when nothing changes that matters:", () => {
  const backwards = <T extends object>(value: T): T =>
    Object.fromEntries(
      Object.entries(value)
        .reverse()
        .map(([k, v]) => [k, isPlain(v) ? backwards(v) : v]),
    ) as T;
  const isPlain = (v: unknown): v is object => typeof v === "object" && v !== null && !Array.isArray(v);

  it("order of keys in the spec", async () => {
    const options = base();
    const turned = { ...options, step: backwards(options.step), connection: backwards(options.connection) };
    expect(Object.keys(turned.step)).not.toEqual(Object.keys(options.step));
    expect(await deriveStep(turned)).toEqual(await deriveStep(options));
  });

  it("labels, resources and names of the Kubernetes objects", async () => {
    const { annotation, resource } = await deriveStep(base());
    const job = (pipeline: string, cpu: number) =>
      renderJob({
        pipeline,
        step: "train",
        imageReference: base().image.reference,
        resource,
        annotation,
        runtimeClass: "kata-qemu-snp",
        shards: 1,
        timeoutSeconds: 60,
        cpu,
        memory: "1Gi",
      });
    const [a, b] = [job("spam", 1), job("renamed", 4)];
    expect(a.metadata).not.toEqual(b.metadata);
    expect(a.spec.template.metadata.annotations).toEqual(b.spec.template.metadata.annotations);
  });

  it("comments and layout of the policy text, line ends of the certificate", () => {
    const args = {
      tee: "sample" as const,
      kbsUrl: server.url,
      imageReference: imageOf("train").reference,
      resource: `${ns}/step/aa`,
    };
    const guest = stepGuest({ ...args, caPem: server.caPem });
    expect(guest.initdata).not.toMatch(/^\s*#/m);
    expect(stepGuest({ ...args, caPem: server.caPem.replaceAll("\n", "\r\n") })).toEqual(guest);
  });
});

describe("the guests of a generated pipeline", () => {
  it.each([1, 2, 3])("get exactly its edges and images (pipeline %d)", async (seed) => {
    const { steps, adjacency, images } = generated(seed);
    const derived = new Map<string, DerivedStep>();
    for (const plan of steps) {
      const made = await deriveStep({
        ...base(),
        step: plan,
        image: imageOf(images.get(plan.name) as string),
        datasets: {},
      });
      derived.set(plan.name, made);
      await deploy(made);
    }
    const every = [...new Set([...derived.values()].flatMap(pathsOf))];
    const owner = publicKey("Ed25519", world.facts.ownerPublicKey);
    for (const [name, made] of derived) {
      const got = await obtains(made, every);
      expect(got).toEqual(pathsOf(made));
      expect(got).toContain(`${ns}/image/${imageOf(images.get(name) as string).kekId}`);
      const guest = await sampleHandshake(http, parseInitdataAnnotation(made.annotation));
      const edges = new Set<string>();
      for (const path of got.filter((p) => p.includes("/step/"))) {
        const text = Buffer.from(await guest.resource(path)).toString();
        for (const edge of Object.keys((await verifyJws("sealflow-bundle+jwt", text, owner, bundle)).edgeRoots))
          edges.add(edge);
      }
      expect([...edges].sort()).toEqual([...(adjacency.get(name) as Set<string>)].sort());
    }
  });
});

/** Ten steps, each reads some outputs of earlier ones; three images among them. */
function generated(seed: number) {
  let state = seed * 7919;
  const random = (n: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
  const steps: StepPlan[] = [];
  const adjacency = new Map<string, Set<string>>();
  const images = new Map<string, string>();
  for (let i = 0; i < 10; i++) {
    const name = `s${i}`;
    const outputs = Object.fromEntries(Array.from({ length: 1 + random(2) }, (_, o) => [`o${o}`, { format: "json" }]));
    const before = steps.flatMap((s) => Object.keys(s.outputs).map((o) => `${s.name}.${o}`));
    const reads = [...new Set(Array.from({ length: random(4) }, () => before[random(before.length)]))].filter((e) => e);
    const inputs = Object.fromEntries(
      reads.map((from, n) => [`i${n}`, { from: from as string, format: "json" as const }]),
    );
    adjacency.set(name, new Set([...(reads as string[]), ...Object.keys(outputs).map((o) => `${name}.${o}`)]));
    images.set(name, `image-${random(3)}`);
    steps.push({
      ...PLAN,
      name,
      command: ["node", `/app/${seed}/${name}.js`],
      inputs,
      outputs: outputs as StepPlan["outputs"],
      releases: [],
    });
  }
  return { steps, adjacency, images };
}

/** What a hostile ledger, store or consumer of the same edges could put into a claim answer, and how it is refused. */
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join as pathJoin } from "node:path";
import { type Assignment, verifyAnswer } from "../../guest/answer";
import { type OpenedBundle, openBundle } from "../../guest/bundle";
import { claimWork, type Granted } from "../../guest/claim";
import { checkEnvironment } from "../../guest/environment";
import { CODES, type RunnerCode, RunnerError } from "../../guest/errors";
import { planInputs } from "../../guest/inputs";
import { Network } from "../../guest/net/https";
import { base64url, fromBase64url } from "../../protocol/bytes";
import { jcs, jcsDigest } from "../../protocol/canonical";
import { privateKey, rawPublic } from "../../protocol/crypto";
import { sealTo } from "../../protocol/jwe";
import { jwsDigest, peekJws, signJws } from "../../protocol/jws";
import { objectName } from "../../protocol/keys";
import {
  type ClaimGo,
  type ClaimInput,
  claimAnswer,
  descriptor,
  runRequest,
  runSecretContext,
} from "../../protocol/messages";
import { splitTable, Table } from "../../protocol/table";
import { type Deployed, deploy, type StepSource } from "./support/deployed";
import { emptyLayer, runInProcess } from "./support/in-process";

const trusted = { trustProgram: "test" };
const write = (name: string): StepSource => ({
  ...trusted,
  files: {
    "main.js": `require("fs").writeFileSync(process.env.SEALFLOW_OUT + "/${name}", process.env.SEALFLOW_SHARD)`,
  },
  outputs: { [name]: { format: "text" } },
  limits: { shards: 2, retryLimit: 8 },
});
const STEPS: Record<string, StepSource> = {
  left: write("x"),
  right: write("y"),
  join: {
    ...trusted,
    files: { "main.js": "" },
    inputs: {
      xs: { from: "left.x", format: "text", collect: true },
      ys: { from: "right.y", format: "text", collect: true },
      rows: { dataset: "rows", format: "text" },
    },
    outputs: { z: { format: "text" } },
    limits: { retryLimit: 90 },
  },
};

let d: Deployed;
let opened: OpenedBundle;
let network: Network;
let run: string;
let otherRun: string;
let other: Granted;

const grant = async (hint: string): Promise<Granted> => {
  const granted = await claimWork(opened, hint, network, () => undefined);
  if (typeof granted === "string") throw new Error(granted);
  return granted;
};

beforeAll(async () => {
  d = await deploy({ datasets: { rows: { format: "text", content: "rows" } }, steps: STEPS }, { layer: emptyLayer });
  const address = checkEnvironment({ SEALFLOW_RESOURCE: d.resources.join }, []);
  opened = await openBundle(d.bundles.join ?? "", address, d.ownerPublicKey);
  network = new Network(d.connection.ledgerUrl, d.connection.caPem);
  run = await d.openRun({ left: { rate: 1 }, right: { rate: 2 } });
  otherRun = await d.openRun();
  for (const hint of [otherRun, run]) {
    for (const step of ["left", "right"]) {
      for (let shard = 0; shard < 2; shard++) {
        const end = await runInProcess(d, step, STEPS[step] as StepSource, { run: hint });
        expect(end.words.at(-1)).toBe("committed");
      }
    }
  }
  other = await grant(otherRun);
}, 120_000);
afterAll(async () => {
  network?.close();
  await d?.close();
});

const accept = async (granted: Granted): Promise<{ work: Assignment; inputs: number }> => {
  const work = await verifyAnswer(opened, granted);
  return { work, inputs: (await planInputs(opened, work)).length };
};

async function codeOf(granted: Granted): Promise<RunnerCode | "accepted"> {
  try {
    await accept(granted);
    return "accepted";
  } catch (error) {
    if (error instanceof RunnerError) return error.code;
    throw error;
  }
}

test("the honest answer is accepted, with every proof of five inputs", async () => {
  const { work, inputs } = await accept(await grant(run));
  expect(work).toMatchObject({ run, shard: 0 });
  expect(inputs).toBe(5);
});

type Change = (go: ClaimGo, granted: Granted) => ClaimGo | Promise<ClaimGo>;
const inputsOf = (go: ClaimGo, name: string): ClaimInput[] => go.inputs[name] ?? [];
const input = (go: ClaimGo, name: string, i: number): ClaimInput => inputsOf(go, name)[i] as ClaimInput;
const withInput =
  (name: string, i: number, change: (given: ClaimInput, go: ClaimGo) => ClaimInput): Change =>
  (go) => ({
    ...go,
    inputs: { ...go.inputs, [name]: inputsOf(go, name).map((given, k) => (k === i ? change(given, go) : given)) },
  });
const ledgerless = () => privateKey("Ed25519", new Uint8Array(randomBytes(32)));

/** The signed version with rows of the attacker's making. */
const versionWith =
  (shown: string[], change: (steps: Record<string, unknown>) => Record<string, unknown> = (steps) => steps): Change =>
  async (go) => {
    const table = await Table.of(change({ ...d.descriptor.steps }));
    return { ...go, descriptor: `${splitTable(go.descriptor).signed}${await table.some(shown)}` };
  };
const ALL = ["join", "left", "right"];
/** Rows of the honest answer, changed as JSON. */
const rewritten =
  (field: "descriptor" | "request", change: (some: Record<string, Record<string, unknown>>) => void): Change =>
  (go) => {
    const { signed, beside = "" } = splitTable(go[field]);
    const rows = JSON.parse(Buffer.from(beside, "base64url").toString("utf8"));
    change(rows.some);
    return { ...go, [field]: `${signed}~${Buffer.from(jcs(rows)).toString("base64url")}` };
  };

test("an answer shows the rows of the step and of those it waits for, and nobody's parameters but its own", async () => {
  const { go } = await grant(run);
  expect(Object.keys(peekJws("sealflow-descriptor+jwt", go.descriptor, descriptor).steps).sort()).toEqual(ALL);
  expect(peekJws("sealflow-run+jwt", go.request, runRequest).parameters).toEqual({});
});

test.each<[string, RunnerCode, Change]>([
  ["a version without its rows", "DESCRIPTOR", (go) => ({ ...go, descriptor: splitTable(go.descriptor).signed })],
  ["a version without the step's own row", "DESCRIPTOR", versionWith(["left", "right"])],
  ["a version without a producer's row", "INPUT_RECEIPT", versionWith(["join", "left"])],
  ["another step's row under the step's name", "DESCRIPTOR", versionWith(ALL, (s) => ({ ...s, join: s.left }))],
  ["a producer's row under another's name", "DESCRIPTOR", versionWith(ALL, (s) => ({ ...s, right: s.left }))],
  [
    "a producer's row with the attacker's key",
    "DESCRIPTOR",
    versionWith(ALL, (s) => ({ ...s, left: { ...(s.left as object), publicKey: rawPublic(ledgerless()) } })),
  ],
  ["a row of a larger table", "DESCRIPTOR", versionWith(ALL, (s) => ({ ...s, more: s.left }))],
  [
    "a producer's row in another's place",
    "DESCRIPTOR",
    rewritten("descriptor", ({ left, right }) => {
      if (left && right) [left.index, right.index] = [right.index, left.index];
    }),
  ],
  [
    "a row whose value is swapped for its digest",
    "DESCRIPTOR",
    rewritten("descriptor", ({ left }) => {
      if (left) {
        left.digest = jcsDigest(left.value);
        delete left.value;
        delete left.path;
      }
    }),
  ],
  [
    "a request that says nothing of the step's parameters",
    "REQUEST",
    (go) => ({ ...go, request: splitTable(go.request).signed }),
  ],
  [
    "a request without the neighbours that prove that the step has no parameters",
    "REQUEST",
    rewritten("request", (some) => {
      for (const name of Object.keys(some)) delete some[name];
    }),
  ],
  [
    "a request with a neighbour of another name",
    "REQUEST",
    rewritten("request", (some) => {
      for (const name of Object.keys(some)) {
        some.lefu = some[name] as Record<string, unknown>;
        delete some[name];
      }
    }),
  ],
  ["a run id that is not the request's", "REQUEST", (go) => ({ ...go, run: otherRun })],
  ["another run's request", "REQUEST", (go) => ({ ...go, request: other.go.request })],
  [
    "a request that the ledger signed itself",
    "REQUEST",
    async (go) => {
      const key = ledgerless();
      const content = { ...peekJws("sealflow-run+jwt", go.request, runRequest), runKey: rawPublic(key) };
      const request = await signJws("sealflow-run+jwt", content, key);
      return { ...go, request, run: jwsDigest(request) };
    },
  ],
  [
    "a descriptor that somebody else signed",
    "DESCRIPTOR",
    async (go) => ({ ...go, descriptor: await signJws("sealflow-descriptor+jwt", d.descriptor, ledgerless()) }),
  ],
  [
    "a head of another log",
    "LOG_PROOF",
    async (go) => ({
      ...go,
      head: await signJws(
        "sealflow-head+jwt",
        { v: 1, ledgerKey: d.connection.ledgerKey, size: 3, root: "0".repeat(64), at: 1 },
        ledgerless(),
      ),
    }),
  ],
  ["no proof that the log goes on", "LOG_PROOF", (go) => ({ ...go, consistency: [] })],
  [
    "an older head",
    "LOG_PROOF",
    (go) => ({ ...go, head: peekJws("sealflow-run+jwt", go.request, runRequest).head as string }),
  ],
  ["an attempt beyond the limit", "ATTEMPT", (go) => ({ ...go, attempt: 92 })],
  ["a shard that does not exist", "ATTEMPT", (go) => ({ ...go, shard: 1 })],
  ["another attempt's upload", "ANSWER", (go) => ({ ...go, attempt: go.attempt + 1 })],
  ["an upload of another output", "ANSWER", (go) => ({ ...go, uploads: { ...go.uploads, more: go.log } })],
  ["a log that goes over an output", "ANSWER", (go) => ({ ...go, log: go.uploads.z as ClaimGo["log"] })],
  ["a run secret of another claim", "ANSWER", (go) => ({ ...go, runSecret: other.go.runSecret })],
  [
    "a run secret that is too short",
    "ANSWER",
    async (go, granted) => ({
      ...go,
      runSecret: await sealTo(
        rawPublic(granted.ephemeral),
        runSecretContext(go.run, granted.claim),
        new Uint8Array(16),
      ),
    }),
  ],
  [
    "a run secret of its own making",
    "INPUT_KEY",
    async (go, granted) => ({
      ...go,
      runSecret: await sealTo(
        rawPublic(granted.ephemeral),
        runSecretContext(go.run, granted.claim),
        new Uint8Array(32),
      ),
    }),
  ],
  [
    "an input that the step does not have",
    "ANSWER",
    (go) => ({ ...go, inputs: { ...go.inputs, extra: inputsOf(go, "xs") } }),
  ],
  [
    "a dataset that the step does not have",
    "ANSWER",
    (go) => ({ ...go, datasets: { ...go.datasets, extra: { url: "https://x/" } } }),
  ],
  ["no place of a dataset", "ANSWER", (go) => ({ ...go, datasets: {} })],
  ["a missing shard", "INPUT_RECEIPT", (go) => ({ ...go, inputs: { ...go.inputs, xs: inputsOf(go, "xs").slice(1) } })],
  [
    "a shard twice",
    "INPUT_RECEIPT",
    (go) => ({ ...go, inputs: { ...go.inputs, xs: [input(go, "xs", 0), input(go, "xs", 0)] } }),
  ],
  [
    "edges swapped",
    "INPUT_RECEIPT",
    (go) => ({ ...go, inputs: { ...go.inputs, xs: inputsOf(go, "ys"), ys: inputsOf(go, "xs") } }),
  ],
  [
    "another edge under this edge's name",
    "INPUT_RECEIPT",
    withInput("xs", 0, (_g, go) => ({ ...input(go, "ys", 0), edge: "left.x" })),
  ],
  ["shards swapped", "INPUT_RECEIPT", withInput("xs", 0, (_g, go) => ({ ...input(go, "xs", 1), shard: 0 }))],
  ["an object of another run", "INPUT_RECEIPT", withInput("xs", 0, () => input(other.go, "xs", 0))],
  ["a later attempt's number", "INPUT_RECEIPT", withInput("xs", 0, (g) => ({ ...g, attempt: g.attempt + 1 }))],
  [
    "another object's digest",
    "INPUT_RECEIPT",
    withInput("xs", 0, (g) => ({ ...g, object: { ...g.object, digest: "0".repeat(64) } })),
  ],
  [
    "a changed receipt",
    "INPUT_RECEIPT",
    withInput("xs", 0, (g) => ({
      ...g,
      receipt: { ...g.receipt, payload: `${g.receipt.payload.slice(0, -8)}AAAAAAAA` },
    })),
  ],
  [
    "the receipt of another shard",
    "INPUT_RECEIPT",
    withInput("xs", 0, (g, go) => ({ ...g, receipt: input(go, "xs", 1).receipt })),
  ],
  [
    "a log entry of another commit",
    "LOG_PROOF",
    withInput("xs", 0, (g, go) => ({ ...g, leafBytes: input(go, "xs", 1).leafBytes })),
  ],
  [
    "an entry that is not in the log",
    "LOG_PROOF",
    withInput("xs", 0, (g) => ({ ...g, inclusion: g.inclusion.map(() => "0".repeat(64)) })),
  ],
  [
    "a log that does not extend the one its producer was shown",
    "LOG_PROOF",
    withInput("xs", 0, (g) => ({ ...g, consistency: g.consistency.map(() => "0".repeat(64)) })),
  ],
  ["no proof for its producer's head", "LOG_PROOF", withInput("xs", 0, (g) => ({ ...g, consistency: [] }))],
  ["another place in the log", "LOG_PROOF", withInput("xs", 0, (g) => ({ ...g, leaf: g.leaf + 1 }))],
  ["an entry of another form", "LOG_PROOF", withInput("xs", 0, (g) => ({ ...g, leafBytes: ` ${g.leafBytes}` }))],
])("%s is refused with %s", async (_what, code, change) => {
  const granted = await grant(run);
  const go = await change(granted.go, granted);
  expect(await codeOf({ ...granted, go })).toBe(code);
  expect([30, 31]).toContain(CODES[code]);
});

describe("an answer", () => {
  const fake = (change: (body: object) => object | Promise<object>, key?: Parameters<typeof signJws>[2]) => ({
    postLedger: async (path: string, body: unknown) => {
      const answer = await network.postLedger(path, body);
      const { token } = answer.body as { token: string };
      const content = await change(peekJws("sealflow-claim-answer+jwt", token, claimAnswer));
      return { status: 200, body: { token: await signJws("sealflow-claim-answer+jwt", content, key ?? ledgerless()) } };
    },
  });
  const claimThrough = (through: unknown) => claimWork(opened, run, through as Network, () => undefined);

  test("of somebody who does not hold the ledger's key is refused with ANSWER", async () => {
    await expect(claimThrough(fake((body) => body))).rejects.toMatchObject({ code: "ANSWER" });
  });
  test("with the proofs of as many objects as a step may read is read", async () => {
    const key = ledgerless();
    const many = fake((body) => {
      const go = (body as { go: ClaimGo }).go;
      const inputs = Object.fromEntries(
        [...Array(5)].map((_, i) => [`in-${i}`, Array<ClaimInput>(1000).fill(go.inputs.xs?.[0] as ClaimInput)]),
      );
      return { ...body, go: { ...go, inputs } };
    }, key);
    const ledger = { ...opened.bundle.ledger, publicKey: rawPublic(key) };
    const reader = { ...opened, bundle: { ...opened.bundle, ledger } };
    const granted = await claimWork(reader, run, many as unknown as Network, () => undefined);
    expect(Object.values((granted as Granted).go.inputs).flat()).toHaveLength(5000);
  });
  test("to an earlier claim is refused with ANSWER: the nonce is new each time", async () => {
    let first: unknown;
    const replaying = {
      postLedger: async (path: string, body: unknown) => {
        first ??= await network.postLedger(path, body);
        return first;
      },
    };
    await claimThrough(replaying);
    await expect(claimThrough(replaying)).rejects.toMatchObject({
      code: "ANSWER",
      message: expect.stringContaining("another claim"),
    });
  });
  test("that is no token is refused", async () => {
    const broken = { postLedger: async () => ({ status: 200, body: { token: "x" } }) };
    await expect(claimThrough(broken)).rejects.toMatchObject({ code: "ANSWER" });
  });
  test("with an error is a refusal, and busy is a reason to come back", async () => {
    const error = (code: string) => ({
      postLedger: async () => ({ status: 409, body: { error: { code, message: "x" } } }),
    });
    await expect(claimThrough(error("SIGNATURE"))).rejects.toMatchObject({ code: "CLAIM_REFUSED", exit: 31 });
    await expect(claimThrough(error("BUSY"))).rejects.toMatchObject({ code: "LEDGER_UNREACHABLE", exit: 10 });
  });
});

describe("the bundle", () => {
  const join = STEPS.join as StepSource;
  test("of another step at this path is refused with BUNDLE_PROGRAM", async () => {
    expect(await runInProcess(d, "join", join, { bundle: d.bundles.left ?? "" })).toMatchObject({
      exitCode: 20,
      words: ["bundle", "BUNDLE_PROGRAM"],
    });
  });
  test("of another owner is refused with BUNDLE_SIGNATURE", async () => {
    const ownerKey = rawPublic(generateKeyPairSync("ed25519").publicKey);
    expect(await runInProcess(d, "join", join, { ownerKey })).toMatchObject({
      exitCode: 20,
      words: ["bundle", "BUNDLE_SIGNATURE"],
    });
  });
  test("with any changed character is refused", async () => {
    const bundle = d.bundles.join ?? "";
    for (const at of [5, 100, bundle.length - 5]) {
      const changed = bundle.slice(0, at) + (bundle[at] === "A" ? "B" : "A") + bundle.slice(at + 1);
      const end = await runInProcess(d, "join", join, { bundle: changed });
      expect(end).toMatchObject({ exitCode: 20, words: ["bundle", "BUNDLE_SIGNATURE"] });
    }
  });
  test("that the KBS denies ends with BUNDLE_DENIED", async () => {
    const denied = { status: 500, body: "KBS refuses resource: PolicyDeny" };
    expect(await runInProcess(d, "join", join, { bundle: denied })).toMatchObject({
      exitCode: 20,
      words: ["bundle", "BUNDLE_DENIED"],
    });
  });
});

test.each(["NODE_OPTIONS", "LD_PRELOAD", "https_proxy", "HTTPS_PROXY", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "PWDX"])(
  "%s in the runner's environment is refused with ENVIRONMENT",
  async (name) => {
    const end = await runInProcess(d, "join", STEPS.join as StepSource, { env: { [name]: "/x" } });
    expect(end).toEqual({ exitCode: 20, words: ["ENVIRONMENT"] });
  },
);

test("nobody can give a claim answer without the step's key: a claim of another key is refused by the ledger", async () => {
  const seed = base64url(new Uint8Array(randomBytes(32)));
  const forged = { ...opened, bundle: { ...opened.bundle, signingSeed: seed } };
  expect(fromBase64url(seed)).toHaveLength(32);
  await expect(claimWork(forged, run, network, () => undefined)).rejects.toMatchObject({ code: "CLAIM_REFUSED" });
});

describe("the object store", () => {
  const join = STEPS.join as StepSource;
  const objects = () => pathJoin(d.home, "dev", "objects", "runs", run);

  test.each([
    ["one byte changed at its beginning", (bytes: Buffer) => (bytes[0] = 1)],
    ["one byte changed at its end", (bytes: Buffer) => (bytes[bytes.length - 1] = (bytes.at(-1) as number) ^ 1)],
  ])("with %s of an object ends the attempt with exit 30, and the ledger is told why", async (_what, change) => {
    const granted = await grant(run);
    const name = objectName(run, "left.x", 0, input(granted.go, "xs", 0).attempt);
    const path = pathJoin(objects(), name.split("/").at(-1) ?? "");
    const good = readFileSync(path);
    const bad = Buffer.from(good);
    change(bad);
    writeFileSync(path, bad);
    try {
      const end = await runInProcess(d, "join", join, { run });
      expect(end.exitCode).toBe(30);
      expect(end.words.slice(-3)).toEqual(["committing", "recorded", expect.stringMatching(/^INPUT_(SEAL|DIGEST)$/)]);
      const receipt = (await d.receipts(run)).at(-1);
      expect(receipt).toMatchObject({ step: "join", exitClass: "integrity", isolation: "none" });
    } finally {
      writeFileSync(path, good);
    }
  });
});

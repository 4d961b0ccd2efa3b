/**
 * Bytes of every message and format for fixed keys. `npm run vectors` writes the file anew: that is a new version of the
 * protocol, unless only new entries came.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { edgeAssociatedData } from "../../protocol/associated";
import { fromHex, hex } from "../../protocol/bytes";
import { privateKey, publicKey, rawPublic, sha256hex } from "../../protocol/crypto";
import { type JwsType, jwsDigest, signJws, verifyJws, verifyPart } from "../../protocol/jws";
import { importSeed, keyCommit, objectKey, objectName } from "../../protocol/keys";
import {
  type Dsse,
  type LogEntry,
  leafBytes,
  type Predicate,
  type Program,
  programId,
  receiptDigest,
  type Schedule,
  signReceipt,
  verifyReceipt,
} from "../../protocol/messages";
import { runIdOf, slotToken } from "../../protocol/opening";
import { json } from "../../protocol/shape";
import { slotAfter } from "../../protocol/slots";
import { openBytes, sealBytes } from "../../protocol/stream";
import { splitTable, Table } from "../../protocol/table";

const FILE = join(__dirname, "../vectors/messages.json");
const fill = (byte: number, length = 32): Uint8Array => new Uint8Array(length).fill(byte);
const digest = (text: string): string => sha256hex(text);
const key = privateKey("Ed25519", fill(1));
const raw = rawPublic(key);
const place = {
  pipelineUid: digest("pipeline"),
  run: digest("run"),
  edge: "split.train",
  shard: 3,
  attempt: 2,
  format: "jsonl" as const,
};
const program: Program = {
  v: 1,
  pipelineUid: place.pipelineUid,
  step: "split",
  command: ["node", "/app/split.js", "ü"],
  env: { LANG: "C" },
  inputs: { mails: { dataset: "mails", format: "jsonl" } },
  outputs: { train: { format: "jsonl" } },
  releases: [{ output: "train", as: "train", recipients: { owner: raw } }],
  limits: { timeoutSeconds: 60, waitSeconds: 30, retryLimit: 1, shards: 4 },
  image: digest("image"),
  guest: digest("guest"),
  egress: false,
  exitClass: "visible",
};
const predicate: Predicate = {
  v: 1,
  pipelineUid: place.pipelineUid,
  descriptor: digest("descriptor"),
  run: place.run,
  step: "split",
  shard: place.shard,
  attempt: place.attempt,
  programId: digest("program"),
  identity: digest("identity"),
  inputs: [{ input: "mails", dataset: "mails", shard: 0, digest: digest("mails"), format: "jsonl" }],
  parameters: digest(""),
  keyCommits: { "split.train": digest("key") },
  plaintext: { "split.train": digest("plaintext") },
  exitClass: "ok",
  head: "a.b.c",
  isolation: "namespaces",
};
const entry: LogEntry = {
  v: 1,
  seq: 7,
  kind: "commit",
  pipelineUid: place.pipelineUid,
  previous: 5,
  digest: digest("receipt"),
  run: place.run,
  step: "split",
  shard: 3,
  attempt: 2,
  content: digest("content"),
  at: 1_800_000_000,
};
const edgeKey = objectKey(fill(2), fill(3), place.run, "split", 3, 2);
const plaintext = Uint8Array.from({ length: 300 }, (_, i) => (i * 31 + 7) % 256);
/** With every field that is absent otherwise. */
const conditional: Program = {
  ...program,
  inputs: {
    model: {
      imported: {
        input: "model",
        pipelineUid: digest("producer"),
        ownerPublicKey: raw,
        ledgerKey: raw,
        release: "model",
      },
      format: "jsonl",
    },
  },
  outputs: { verdict: { format: "json", declassify: "the operator may see it" } },
  when: { from: "gate.go", equals: true },
};
const nightly: Schedule = {
  v: 1,
  pipelineUid: place.pipelineUid,
  ownerPublicKey: raw,
  name: "nightly",
  cron: "30 3 * * MON-FRI",
  lateSeconds: 3600,
  parameters: { split: "a.b.c.d.e" },
};
/** Monday, 2027-01-04, 03:30 UTC. */
const SLOT = 1_799_033_400;
/** The payload does not matter to the form of the envelope. */
const payload = { b: [1, "ä"], a: null };
const TYPES: readonly JwsType[] = ["sealflow-descriptor+jwt", "sealflow-claim+jwt", "sealflow-head+jwt"];

/** The next slots, which every reader of a schedule must find. */
function slotsOf(cron: string, from: number, count: number): number[] {
  const found: number[] = [];
  for (let at = from - 1; found.length < count; at = found.at(-1) as number) found.push(slotAfter(cron, at) as number);
  return found;
}

async function vectors() {
  const receipt = signReceipt(
    { subject: [{ name: "split.train/3", digest: { sha256: digest("object") } }], predicate },
    key,
    raw,
  );
  const scheduleJws = await signJws("sealflow-schedule+jwt", nightly, key);
  const runEntry: LogEntry = {
    v: 1,
    seq: 8,
    kind: "run",
    pipelineUid: place.pipelineUid,
    previous: 7,
    digest: place.run,
    run: place.run,
    at: SLOT,
  };
  const tokens = await Promise.all(TYPES.map(async (typ) => [typ, await signJws(typ, payload, key)] as const));
  const rows = { gate: "a.b.c.d.e", split: "f.g.h.i.j", train: "k.l.m.n.o" };
  const tabled = await signJws("sealflow-run+jwt", { parameters: rows, v: 1 }, key);
  const table = await Table.of(rows);
  const { signed } = splitTable(tabled);
  return {
    note: "TEST KEYS ONLY. Written by npm run vectors; read by test/protocol/vectors.test.ts, which has the inputs.",
    signingSeed: hex(fill(1)),
    publicKey: raw,
    jws: Object.fromEntries(tokens),
    jwsDigest: Object.fromEntries(tokens.map(([typ, token]) => [typ, jwsDigest(token)])),
    table: {
      whole: tabled,
      digest: jwsDigest(tabled),
      row: `${signed}${await table.some(["split"])}`,
      absence: `${signed}${await table.some(["score"])}`,
    },
    programId: programId(fill(4), program),
    receipt,
    conditionalProgramId: programId(fill(4), conditional),
    schedule: scheduleJws,
    slotToken: slotToken(scheduleJws, SLOT),
    slotRun: runIdOf(slotToken(scheduleJws, SLOT)),
    slotLeaf: new TextDecoder().decode(leafBytes({ ...runEntry, version: digest("descriptor") })),
    slots: slotsOf(nightly.cron, SLOT, 6),
    declassifyingReceipt: signReceipt(
      { subject: [], predicate: { ...predicate, declassified: { verdict: true } } },
      key,
      raw,
    ),
    importSeed: hex(importSeed({ secret: fill(7), generation: 2 }, place.pipelineUid)),
    receiptDigest: receiptDigest(receipt),
    logLeaf: new TextDecoder().decode(leafBytes(entry)),
    associatedData: new TextDecoder().decode(edgeAssociatedData(place)),
    objectName: objectName(place.run, place.edge, place.shard, place.attempt),
    objectKey: hex(edgeKey),
    keyCommit: keyCommit(edgeKey),
    object: hex(sealBytes(edgeKey, edgeAssociatedData(place), fill(5), fill(6, 7), plaintext)),
  };
}

test("every format gives the pinned bytes", async () => {
  const made = await vectors();
  if (process.env.SEALFLOW_WRITE_VECTORS) writeFileSync(FILE, `${JSON.stringify(made, null, 2)}\n`);
  expect(made).toEqual(JSON.parse(readFileSync(FILE, "utf8")));
});

test("the pinned bytes verify and open", async () => {
  const pinned = JSON.parse(readFileSync(FILE, "utf8"));
  for (const typ of TYPES)
    expect(await verifyJws(typ, pinned.jws[typ], publicKey("Ed25519", pinned.publicKey), json)).toEqual(payload);
  const verifier = publicKey("Ed25519", pinned.publicKey);
  const { table } = pinned;
  expect(await verifyJws("sealflow-run+jwt", table.whole, verifier, json)).toMatchObject({
    parameters: { gate: "a.b.c.d.e", split: "f.g.h.i.j", train: "k.l.m.n.o" },
  });
  const shown = await verifyPart("sealflow-run+jwt", table.row, verifier, json);
  expect(shown.message).toEqual({ parameters: { split: "f.g.h.i.j" }, v: 1 });
  const absent = await verifyPart("sealflow-run+jwt", table.absence, verifier, json);
  expect([absent.message, absent.decides("score")]).toEqual([{ parameters: {}, v: 1 }, true]);
  expect(verifyReceipt(pinned.receipt as Dsse, pinned.publicKey).predicate).toEqual(predicate);
  const opened = openBytes(
    fromHex(pinned.objectKey),
    new TextEncoder().encode(pinned.associatedData),
    fromHex(pinned.object),
  );
  expect(opened).toEqual(plaintext);
});

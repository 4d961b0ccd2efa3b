/** Another pipeline's release, as a run pins it: whatever is exchanged or changed, a guest does not read it. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fromHex } from "../../protocol/bytes";
import { type ImportSource, verifyImport } from "../../protocol/imports";
import { inclusionProof, nodeHash } from "../../protocol/merkle";
import type { RunImport } from "../../protocol/messages";
import { createLedger, type Ledger } from "../../relying-party/ledger";
import { caller } from "../support/ledger-caller";
import { createWorld, type World } from "../support/ledger-world";

let dir: string;
let ledger: Ledger;
let producer: World;
let good: RunImport;
let other: RunImport;
let source: ImportSource;

/** What the CLI pins, from the ledger's export. */
async function pin(world: World): Promise<RunImport> {
  const call = caller(ledger);
  const run = await call.openRun(world);
  await call.run(world, "train", run);
  const { body } = await call.get(`/v1/runs/${run}/log`, await world.readToken());
  const [{ commit, leaf }] = body.commits;
  const leaves: Uint8Array[] = body.entries.map((e: { hash: string }) => fromHex(e.hash));
  const node = (level: number, index: number): Uint8Array =>
    level === 0 ? (leaves[index] as Uint8Array) : nodeHash(node(level - 1, 2 * index), node(level - 1, 2 * index + 1));
  const { outputs } = JSON.parse(Buffer.from(commit.split(".")[1], "base64url").toString("utf8"));
  return {
    run,
    descriptor: world.descriptor,
    commit,
    object: outputs.model,
    leaf,
    leafBytes: body.entries[leaf].entry,
    inclusion: await inclusionProof(node, leaf, leaves.length),
    head: body.head,
  };
}

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "imports-"));
  ledger = await createLedger({ dir, publicUrl: "https://ledger.test", sweepMs: 0 });
  producer = await createWorld({
    ledgerKey: ledger.ledgerKey,
    steps: { train: { outputs: { model: "json", more: "json" } } },
    releases: { model: "train.model" },
  });
  await caller(ledger).deploy(producer);
  [good, other] = [await pin(producer), await pin(producer)];
  const { pipelineUid, ownerPublicKey } = producer;
  source = { input: "model", pipelineUid, ownerPublicKey, ledgerKey: ledger.ledgerKey, release: "model" };
});
afterAll(async () => {
  await ledger.close();
  rmSync(dir, { recursive: true, force: true });
});

it("as the producer's owner and ledger signed it, it is proved", async () => {
  expect(await verifyImport(source, good)).toMatchObject({ edge: "train.model", format: "json" });
});

const flip = (text: string, at: number): string =>
  text.slice(0, at) + (text[at] === "A" ? "B" : "A") + text.slice(at + 1);

it.each<[string, (p: RunImport) => Partial<RunImport>]>([
  ["another run's commit", () => ({ commit: other.commit })],
  ["another run's name", () => ({ run: other.run })],
  ["another run's object", () => ({ object: other.object })],
  ["another size", (p) => ({ object: { ...p.object, size: p.object.size + 1 } })],
  ["another run's log entry", () => ({ leaf: other.leaf, leafBytes: other.leafBytes, inclusion: other.inclusion })],
  ["a shorter proof", (p) => ({ inclusion: p.inclusion.slice(1) })],
  ["a changed version", (p) => ({ descriptor: flip(p.descriptor, 200) })],
  ["a changed commit", (p) => ({ commit: flip(p.commit, 200) })],
  ["a changed head", (p) => ({ head: flip(p.head, 60) })],
])("with %s it is refused", async (_what, change) => {
  await expect(verifyImport(source, { ...good, ...change(good) })).rejects.toThrow();
});

it.each<[string, Partial<ImportSource>]>([
  ["another pipeline", { pipelineUid: "0".repeat(64) }],
  ["another owner", { ownerPublicKey: "A".repeat(43) }],
  ["another release", { release: "more" }],
])("for a step that reads from %s it is refused", async (_who, change) => {
  await expect(verifyImport({ ...source, ...change }, good)).rejects.toThrow();
});

it("of another ledger it is refused", async () => {
  const elsewhere = { ...source, ledgerKey: producer.ownerPublicKey };
  await expect(verifyImport(elsewhere, good)).rejects.toThrow("owner or ledger");
});

/** The `go` part of a claim answer: everything the guest needs, with the proofs that it belongs together. */
import { stepsBefore } from "../../../protocol/conditions";
import { sealTo } from "../../../protocol/jwe";
import { peekJws } from "../../../protocol/jws";
import { objectName } from "../../../protocol/keys";
import {
  type Claim,
  type ClaimCondition,
  type ClaimGo,
  type ClaimInput,
  commit,
  type Descriptor,
  type DescriptorStep,
  type Dsse,
  peekReceipt,
  runSecretContext,
} from "../../../protocol/messages";
import { parseEdgeName } from "../../../protocol/names";
import type { RunContent } from "../../../protocol/opening";
import type { Context } from "../context";
import type { Tx } from "../database/open";
import { only, query } from "../database/query";
import { LedgerError } from "../errors";
import { LOG, shardsOfInput } from "./graph";
import { consistency, currentHead, inclusion } from "./log";
import { findRun, importObject, openingOf, stateNow } from "./runs";
import { versionOf } from "./versions";

export interface Granted {
  readonly run: string;
  readonly step: string;
  readonly shard: number;
  readonly attempt: number;
}

/** Beyond the step's own limits, for the transfer of inputs and outputs, seconds. */
const TRANSFER_SECONDS = 3600;

/** @returns undefined when the run has ended since the attempt was granted. */
export async function goAnswer(ctx: Context, g: Granted, c: Claim, claim: string): Promise<ClaimGo | undefined> {
  const facts = await ctx.db.read((tx) => gather(tx, g, ctx.now()));
  if (!facts) return undefined;
  const { run, request, descriptor, d, step, inputs, size, root } = facts;
  const until = Math.min(
    run.expires_at,
    ctx.now() + step.limits.timeoutSeconds + step.limits.waitSeconds + TRANSFER_SECONDS,
  );
  const read = (object: string): Promise<string> => ctx.store.url("get", object, until);
  const place = async (output: string) => {
    const object = objectName(run.run, `${g.step}.${output}`, g.shard, g.attempt);
    return { object, url: await ctx.store.url("put", object, until) };
  };

  return {
    run: run.run,
    request,
    descriptor,
    attempt: g.attempt,
    shard: g.shard,
    runSecret: await sealTo(c.ephemeralKey, runSecretContext(run.run, claim), run.secret),
    inputs: await mapped(inputs, (list) =>
      Promise.all(list.map(async ({ stored, ...input }) => ({ ...input, url: await read(stored) }))),
    ),
    ...(facts.condition ? { condition: facts.condition } : {}),
    datasets: await mapped(datasetObjects(d, step, facts.content.imports), async (object) => ({
      url: await read(object),
    })),
    uploads: await mapped(step.outputs, (_, output) => place(output)),
    log: await place(LOG),
    head: await ctx.signer.head({ size, root }),
    consistency: facts.consistency,
  };
}

/** The same keys with values that take a while. */
async function mapped<T, U>(of: Readonly<Record<string, T>>, to: (value: T, key: string) => Promise<U>) {
  const entries = Object.entries(of).map(async ([key, value]) => [key, await to(value, key)] as const);
  return Object.fromEntries(await Promise.all(entries));
}

/** Input → object of its dataset, or of what the run imports for it. */
const datasetObjects = (d: Descriptor, step: DescriptorStep, imports: RunContent["imports"]): Record<string, string> =>
  Object.fromEntries(
    Object.entries(step.inputs).flatMap(([name, { dataset, imported }]) => {
      const digest = imported && imports[imported.input]?.object.digest;
      const pinned = dataset === undefined ? undefined : d.datasets[dataset]?.object;
      const object = digest === undefined ? pinned : importObject(digest);
      return object === undefined ? [] : [[name, object]];
    }),
  );

/** The receipt's head was verified when it was committed. */
const receiptHeadSize = (receipt: Dsse): number => headSize(peekReceipt(receipt).predicate.head);

type StoredInput = Omit<ClaimInput, "url"> & { stored: string };

/** One snapshot: the proofs and the head are of the same log. */
async function gather(tx: Tx, g: Granted, now: number) {
  const run = await findRun(tx, g.run);
  if (!run || run.secret === null || stateNow(run, now) !== "open") return undefined;
  const version = await versionOf(tx, run.version);
  const { d } = version;
  const step = d.steps[g.step];
  if (!step) throw new LedgerError("CORRUPT", `version ${run.version}: step ${g.step} is missing`);
  const { size, root } = await currentHead(tx);
  const opening = await openingOf(tx, run.run);
  const { content } = opening;
  const { head } = content;
  return {
    run: { ...run, secret: new Uint8Array(run.secret) },
    request: await opening.part(g.step),
    descriptor: await version.part([g.step, ...stepsBefore(step)]),
    d,
    step,
    content,
    inputs: await committedInputs(tx, d, step, g, size),
    condition: step.when && (await conditionOf(tx, g.run, step.when.from, size)),
    size,
    root,
    consistency: head === null ? [] : await consistency(tx, headSize(head), size),
  };
}

/** The request's head was verified when the run was opened. */
const headSize = (token: string): number =>
  (JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString("utf8")) as { size: number }).size;

async function committedInputs(
  tx: Tx,
  d: Descriptor,
  step: DescriptorStep,
  g: Granted,
  size: number,
): Promise<Record<string, StoredInput[]>> {
  const found: Record<string, StoredInput[]> = {};
  for (const [name, input] of Object.entries(step.inputs)) {
    const source = shardsOfInput(d, input, g.shard);
    if (!source) continue;
    const edge = `${source.producer}.${source.output}`;
    const list: StoredInput[] = [];
    for (const shard of source.shards) list.push(await committedInput(tx, g.run, source, edge, shard, size));
    found[name] = list;
  }
  return found;
}

async function committedInput(
  tx: Tx,
  run: string,
  { producer, output }: { producer: string; output: string },
  edge: string,
  shard: number,
  size: number,
): Promise<StoredInput> {
  const row = await countedCommit(tx, run, producer, shard);
  const object = row?.commit.outputs[output];
  if (!row || !object) throw new LedgerError("CORRUPT", `run ${run}: ${edge}/${shard} is committed but not recorded`);
  const proof = await proofOf(tx, row, size);
  return { edge, shard, object, ...proof, stored: objectName(run, edge, shard, proof.attempt) };
}

/** A step that declassifies has no shards. */
async function conditionOf(tx: Tx, run: string, from: string, size: number): Promise<ClaimCondition> {
  const row = await countedCommit(tx, run, parseEdgeName(from).step, 0);
  if (!row) throw new LedgerError("CORRUPT", `run ${run}: ${from} decides, and is not committed`);
  return proofOf(tx, row, size);
}

type CountedCommit = NonNullable<Awaited<ReturnType<typeof countedCommit>>>;

const entryAt = query((db, { seq }: { seq: number }) =>
  db.selectFrom("log_entries").select("entry").where("seq", "=", seq),
);

async function proofOf(tx: Tx, { commit: c, leaf }: CountedCommit, size: number): Promise<ClaimCondition> {
  const { entry } = only(await entryAt(tx, { seq: leaf }), `entry ${leaf}`);
  return {
    attempt: c.attempt,
    receipt: c.receipt,
    leaf,
    leafBytes: entry,
    inclusion: await inclusion(tx, leaf, size),
    consistency: await consistency(tx, receiptHeadSize(c.receipt), size),
  };
}

const counted = query((db, { run, step, shard }: Omit<Granted, "attempt">) =>
  db
    .selectFrom("commits")
    .innerJoin("shards", (j) =>
      j
        .onRef("shards.run", "=", "commits.run")
        .onRef("shards.step", "=", "commits.step")
        .onRef("shards.shard", "=", "commits.shard")
        .onRef("shards.committed_attempt", "=", "commits.attempt"),
    )
    .select(["commits.token", "commits.leaf"])
    .where("commits.run", "=", run)
    .where("commits.step", "=", step)
    .where("commits.shard", "=", shard),
);

/** The one counted commit of a shard. */
export async function countedCommit(tx: Tx, run: string, step: string, shard: number) {
  const [row] = await counted(tx, { run, step, shard });
  return row
    ? { leaf: row.leaf, token: row.token, commit: peekJws("sealflow-commit+jwt", row.token, commit) }
    : undefined;
}

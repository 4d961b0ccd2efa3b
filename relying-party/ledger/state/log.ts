/** The Merkle log in the database: every perfect subtree is stored once it is complete, so proofs read O(log n) rows. */

import { buffer, hex, utf8 } from "../../../protocol/bytes";
import { jcs } from "../../../protocol/canonical";
import {
  consistencyProof,
  inclusionProof,
  leafHash,
  type NodeSource,
  nodeHash,
  subtreeRoot,
} from "../../../protocol/merkle";
import type { LogEntry } from "../../../protocol/messages";
import type { Tx } from "../database/open";
import { LedgerError } from "../errors";

export type NewEntry = Omit<LogEntry, "v" | "seq" | "previous">;

/** @returns the position of the new entry. */
export async function append(tx: Tx, entry: NewEntry): Promise<number> {
  const { size } = await tx
    .updateTable("log")
    .set((e) => ({ size: e("size", "+", 1) }))
    .where("id", "=", 1)
    .returning("size")
    .executeTakeFirstOrThrow();
  const seq = size - 1;
  const previous = await lastOf(tx, entry.pipelineUid);
  const text = jcs({ v: 1, seq, previous, ...entry } satisfies LogEntry);
  await tx
    .insertInto("log_entries")
    .values({ seq, pipeline_uid: entry.pipelineUid, run: entry.run ?? null, entry: text })
    .execute();

  const leaf = leafHash(utf8(text));
  const rows = await withNodes(tx, (nodes) => completed(nodes, seq, leaf));
  await tx.insertInto("log_nodes").values(rows).execute();
  return seq;
}

/** The perfect subtrees that a leaf completes, from the leaf up. */
async function completed(nodes: NodeSource, seq: number, leaf: Uint8Array) {
  const rows = [{ level: 0, position: seq, hash: buffer(leaf) }];
  let hash = leaf;
  for (let level = 0, position = seq; position % 2 === 1; ) {
    hash = nodeHash(await nodes(level, position - 1), hash);
    level += 1;
    position = (position - 1) / 2;
    rows.push({ level, position, hash: buffer(hash) });
  }
  return rows;
}

/** Position of a pipeline's last entry. */
async function lastOf(tx: Tx, pipelineUid: string): Promise<number | null> {
  const row = await tx
    .selectFrom("log_entries")
    .select("seq")
    .where("pipeline_uid", "=", pipelineUid)
    .orderBy("seq", "desc")
    .limit(1)
    .executeTakeFirst();
  return row?.seq ?? null;
}

export async function logSize(tx: Tx): Promise<number> {
  return (await tx.selectFrom("log").select("size").where("id", "=", 1).executeTakeFirstOrThrow()).size;
}

export const rootAt = async (tx: Tx, size: number): Promise<string> =>
  hex(await withNodes(tx, (nodes) => subtreeRoot(nodes, 0, size)));

/** Size and root of the log as this transaction sees it. */
export async function currentHead(tx: Tx): Promise<{ size: number; root: string }> {
  const size = await logSize(tx);
  return { size, root: await rootAt(tx, size) };
}

/** Whether this log goes on from a head that the ledger has signed; one of a database that was restored may not. */
export const extendsHead = async (tx: Tx, { size, root }: { size: number; root: string }): Promise<boolean> =>
  size <= (await logSize(tx)) && (await rootAt(tx, size)) === root;

export const inclusion = (tx: Tx, index: number, size: number): Promise<string[]> =>
  withNodes(tx, (nodes) => inclusionProof(nodes, index, size));

/** @param old a size between 0 and `size`. */
export const consistency = (tx: Tx, old: number, size: number): Promise<string[]> =>
  withNodes(tx, (nodes) => consistencyProof(nodes, old, size));

/** Stands in for a node while it is found out which ones are needed. */
const UNKNOWN = new Uint8Array(32);

/**
 * What `build` makes of nodes of the log, read in one statement. It is called twice: which nodes it asks for must not
 * depend on what they are.
 */
async function withNodes<T>(tx: Tx, build: (nodes: NodeSource) => Promise<T>): Promise<T> {
  const asked = new Map<string, { level: number; position: number }>();
  const idle = await build((level, position) => {
    asked.set(`${level}/${position}`, { level, position });
    return UNKNOWN;
  });
  if (asked.size === 0) return idle;
  const rows = await tx
    .selectFrom("log_nodes")
    .selectAll()
    .where((e) =>
      e.or(
        [...asked.values()].map(({ level, position }) => e.and([e("level", "=", level), e("position", "=", position)])),
      ),
    )
    .execute();
  const found = new Map(rows.map(({ level, position, hash }) => [`${level}/${position}`, new Uint8Array(hash)]));
  return build((level, position) => {
    const node = found.get(`${level}/${position}`);
    if (!node) throw new LedgerError("CORRUPT", `the log's node ${level}/${position} is missing from the database`);
    return node;
  });
}

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

  const nodes = nodeSource(tx);
  let hash = leafHash(utf8(text));
  let position = seq;
  for (let level = 0; ; level++) {
    await tx
      .insertInto("log_nodes")
      .values({ level, position, hash: buffer(hash) })
      .execute();
    if (position % 2 === 0) return seq;
    hash = nodeHash(await nodes(level, position - 1), hash);
    position = (position - 1) / 2;
  }
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

export const rootAt = async (tx: Tx, size: number): Promise<string> => hex(await subtreeRoot(nodeSource(tx), 0, size));

/** Size and root of the log as this transaction sees it. */
export async function currentHead(tx: Tx): Promise<{ size: number; root: string }> {
  const size = await logSize(tx);
  return { size, root: await rootAt(tx, size) };
}

export const inclusion = (tx: Tx, index: number, size: number): Promise<string[]> =>
  inclusionProof(nodeSource(tx), index, size);

/** @param old a size between 0 and `size`. */
export const consistency = (tx: Tx, old: number, size: number): Promise<string[]> =>
  consistencyProof(nodeSource(tx), old, size);

function nodeSource(tx: Tx): NodeSource {
  return async (level, position) => {
    const row = await tx
      .selectFrom("log_nodes")
      .select("hash")
      .where("level", "=", level)
      .where("position", "=", position)
      .executeTakeFirst();
    if (!row) throw new LedgerError("CORRUPT", `the log's node ${level}/${position} is missing from the database`);
    return new Uint8Array(row.hash);
  };
}

/** The Merkle log in the database: every perfect subtree is stored once it is complete, so proofs read O(log n) rows. */

import { buffer, hex, utf8 } from "../../../protocol/bytes";
import { jcs } from "../../../protocol/canonical";
import {
  consistencyProof,
  EMPTY_ROOT,
  inclusionProof,
  leafHash,
  type NodeSource,
  nodeHash,
} from "../../../protocol/merkle";
import type { LogEntry } from "../../../protocol/messages";
import type { Tx } from "../database/open";
import { change, only, query } from "../database/query";
import type { Tables } from "../database/tables";
import { LedgerError } from "../errors";

export type NewEntry = Omit<LogEntry, "v" | "seq" | "previous">;

const takePlace = query((db) =>
  db
    .updateTable("log")
    .set((e) => ({ size: e("size", "+", 1) }))
    .where("id", "=", 1)
    .returning("size"),
);
const insertEntry = change((db, e: Tables["log_entries"]) =>
  db.insertInto("log_entries").values({ seq: e.seq, pipeline_uid: e.pipeline_uid, run: e.run, entry: e.entry }),
);

/** @returns the position of the new entry. */
export async function append(tx: Tx, entry: NewEntry): Promise<number> {
  const seq = only(await takePlace(tx, {}), "log").size - 1;
  const previous = await lastOf(tx, entry.pipelineUid);
  const text = jcs({ v: 1, seq, previous, ...entry } satisfies LogEntry);
  await insertEntry(tx, { seq, pipeline_uid: entry.pipelineUid, run: entry.run ?? null, entry: text });

  const leaf = leafHash(utf8(text));
  await insertNodes(tx, {}, await completed(tx, seq, leaf));
  return seq;
}

/** The perfect subtrees that a leaf completes, from the leaf up. */
async function completed(tx: Tx, seq: number, leaf: Uint8Array): Promise<Tables["log_nodes"][]> {
  const siblings: Place[] = [];
  for (let level = 0, position = seq; position % 2 === 1; level++, position = (position - 1) / 2) {
    siblings.push({ level, position: position - 1 });
  }
  const nodes = await nodesIn(tx, siblings);
  const rows = [{ level: 0, position: seq, hash: buffer(leaf) }];
  let hash = leaf;
  for (const sibling of siblings) {
    hash = nodeHash(nodes(sibling), hash);
    rows.push({ level: sibling.level + 1, position: sibling.position / 2, hash: buffer(hash) });
  }
  return rows;
}

const lastEntry = query((db, { uid }: { uid: string }) =>
  db.selectFrom("log_entries").select("seq").where("pipeline_uid", "=", uid).orderBy("seq", "desc").limit(1),
);

/** Position of a pipeline's last entry. */
async function lastOf(tx: Tx, uid: string): Promise<number | null> {
  const [row] = await lastEntry(tx, { uid });
  return row?.seq ?? null;
}

const sizeOfLog = query((db) => db.selectFrom("log").select("size").where("id", "=", 1));
export const logSize = async (tx: Tx): Promise<number> => only(await sizeOfLog(tx, {}), "log").size;

export async function rootAt(tx: Tx, size: number): Promise<string> {
  if (size === 0) return hex(EMPTY_ROOT);
  const places = peaks(size);
  const nodes = await nodesIn(tx, places);
  return hex(places.map(nodes).reduceRight((right, left) => nodeHash(left, right)));
}

/** The perfect subtrees that make up a tree of this size, largest first. */
function peaks(size: number): Place[] {
  const places: Place[] = [];
  // Not by bits: `&` knows 32 of them, and sizes may be larger.
  for (let level = 0, left = size; left > 0; level++, left = Math.floor(left / 2)) {
    if (left % 2 === 1) places.unshift({ level, position: left - 1 });
  }
  return places;
}

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

type Place = Pick<Tables["log_nodes"], "level" | "position">;
const insertNodes = change((db, _: object, rows: readonly Tables["log_nodes"][]) =>
  db.insertInto("log_nodes").values(rows.map(({ level, position, hash }) => ({ level, position, hash }))),
);
const nodesAt = query((db, _: object, places: readonly Place[]) =>
  db
    .selectFrom("log_nodes")
    .selectAll()
    .where((e) =>
      e.or(places.map(({ level, position }) => e.and([e("level", "=", level), e("position", "=", position)]))),
    ),
);

/** Stands in for a node while it is found out which ones are needed. */
const UNKNOWN = new Uint8Array(32);

/**
 * What `build` makes of nodes of the log, read in one statement. It is called twice: which nodes it asks for must not
 * depend on what they are.
 */
async function withNodes<T>(tx: Tx, build: (nodes: NodeSource) => Promise<T>): Promise<T> {
  const asked = new Map<string, Place>();
  const idle = await build((level, position) => {
    asked.set(`${level}/${position}`, { level, position });
    return UNKNOWN;
  });
  if (asked.size === 0) return idle;
  const nodes = await nodesIn(tx, [...asked.values()]);
  return build((level, position) => nodes({ level, position }));
}

/** Nodes of these places, read in one statement. */
async function nodesIn(tx: Tx, places: readonly Place[]): Promise<(place: Place) => Uint8Array> {
  const rows = places.length === 0 ? [] : await nodesAt(tx, {}, places);
  const found = new Map(rows.map(({ level, position, hash }) => [`${level}/${position}`, new Uint8Array(hash)]));
  return ({ level, position }) => {
    const node = found.get(`${level}/${position}`);
    if (!node) throw new LedgerError("CORRUPT", `the log's node ${level}/${position} is missing from the database`);
    return node;
  };
}

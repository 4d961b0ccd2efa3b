/**
 * Tables: named rows of a signed message, of which most readers need few. The signed part has their number and the root
 * of a Merkle tree (RFC 6962, SHA-256) over them in the order of their names; the rows travel behind the signature, all of
 * them or some with their audit paths: `<compact JWS>~<base64url of canonical JSON>`. What is behind `~` is no part of the
 * message's digest, since the root fixes it.
 *
 * A leaf is `sealflow/v1|row|<name>|<SHA-256 of the value's canonical JSON>`. Neighbours of a name that has no row prove
 * that it has none, and show digests only.
 */
import { base64url, fromBase64url, hex, utf8 } from "./bytes";
import { jcs, jcsDigest } from "./canonical";
import { ProtocolError } from "./errors";
import { inclusionProof, leafHash, type NodeSource, nodeHash, subtreeRoot, verifyInclusion } from "./merkle";
import { hex32 } from "./messages/common";
import { NAME } from "./names";
import { type Infer, integer, json, list, object, optional, parse, record } from "./shape";

/** Most rows that a table can have. */
export const MAX_ROWS = 5000;
const MARK = "~";

/** What stands in the signed part in the place of the rows. */
export const signedTable = object({ count: integer(0, MAX_ROWS), root: hex32 });
export type SignedTable = Infer<typeof signedTable>;

const shownRow = object({
  /** Place among the rows in the order of their names. */
  index: integer(0, MAX_ROWS - 1),
  /** Absent in a row that only proves that a name beside it has none. */
  value: optional(json),
  /** Of the value that is not shown. */
  digest: optional(hex32),
  path: list(hex32, 16),
});
const beside = object({
  all: optional(record(NAME, json, MAX_ROWS)),
  some: optional(record(NAME, shownRow, MAX_ROWS)),
});

const leaf = (name: string, digest: string): Uint8Array => utf8(`sealflow/v1|row|${name}|${digest}`);

/** All rows of a table, for whoever signs them or shows some of them to others. */
export class Table {
  private constructor(
    private readonly rows: Readonly<Record<string, unknown>>,
    private readonly names: readonly string[],
    private readonly nodes: NodeSource,
    readonly signed: SignedTable,
  ) {}

  static async of(rows: Readonly<Record<string, unknown>>): Promise<Table> {
    const names = Object.keys(rows).sort();
    const nodes = nodesOver(names.map((name) => leafHash(leaf(name, jcsDigest(rows[name])))));
    const root = hex(await subtreeRoot(nodes, 0, names.length));
    return new Table(rows, names, nodes, { count: names.length, root });
  }

  /** What goes behind the signed part to show every row; empty when there are none. */
  all(): string {
    return this.names.length === 0 ? "" : encoded({ all: this.rows });
  }

  /** What goes behind it to show these rows, and that those among the names which have none have none. */
  async some(wanted: Iterable<string>): Promise<string> {
    if (this.names.length === 0) return "";
    const some: Record<string, unknown> = {};
    const show = async (index: number, hidden: boolean) => {
      const name = this.names[index];
      if (name === undefined || (hidden && Object.hasOwn(some, name))) return;
      const value = this.rows[name];
      const content = hidden ? { digest: jcsDigest(value) } : { value };
      some[name] = { index, ...content, path: await inclusionProof(this.nodes, index, this.names.length) };
    };
    for (const name of wanted) {
      const at = lowerBound(this.names, name);
      if (this.names[at] === name) await show(at, false);
      else for (const index of [at - 1, at]) await show(index, true);
    }
    return encoded({ some });
  }
}

const encoded = (rows: object): string => `${MARK}${base64url(utf8(jcs(rows)))}`;

/** Perfect subtrees, level by level. */
function nodesOver(leaves: readonly Uint8Array[]): NodeSource {
  const levels = [leaves];
  for (let last = leaves; last.length > 1; ) {
    const next: Uint8Array[] = [];
    for (let i = 0; i + 1 < last.length; i += 2) next.push(nodeHash(last[i] as Uint8Array, last[i + 1] as Uint8Array));
    levels.push(next);
    last = next;
  }
  return (level, index) => levels[level]?.[index] as Uint8Array;
}

/** First place whose name is not before `name`. */
function lowerBound(names: readonly string[], name: string): number {
  let from = 0;
  for (let to = names.length; from < to; ) {
    const middle = (from + to) >>> 1;
    if ((names[middle] as string) < name) from = middle + 1;
    else to = middle;
  }
  return from;
}

/** The text that was signed, and what is behind it. */
export function splitTable(text: string): { signed: string; beside?: string } {
  const at = text.indexOf(MARK);
  return at < 0 ? { signed: text } : { signed: text.slice(0, at), beside: text.slice(at + 1) };
}

/** A text without its table's rows; a slot behind them stays (protocol/opening.ts). */
export const withoutRows = (text: string): string => text.replace(/~[^|]*/, "");

export interface Rows {
  readonly values: Record<string, unknown>;
  /** Every row is here. */
  readonly whole: boolean;
  /** Whether it is certain that this name has this row, or none. */
  decides(name: string): boolean;
}

/**
 * The rows behind a text whose signature has been verified.
 * @throws ProtocolError SHAPE, or SIGNATURE when a row is not one of those that were signed.
 */
export async function provenRows(signed: SignedTable, text: string | undefined): Promise<Rows> {
  if (signed.count === 0) {
    if (text !== undefined) throw new ProtocolError("SHAPE", "table: rows behind an empty one");
    return { values: {}, whole: true, decides: () => true };
  }
  if (text === undefined) return { values: {}, whole: false, decides: () => false };
  const { all, some } = decoded(text, true);
  if (all) {
    const { count, root } = (await Table.of(all)).signed;
    if (count !== signed.count || root !== signed.root) throw foreign("they are not the rows");
    return { values: all, whole: true, decides: () => true };
  }
  const places = new Map<number, string>();
  const values: Record<string, unknown> = {};
  for (const [name, { index, value, digest, path }] of Object.entries(some ?? {})) {
    if ((value === undefined) === (digest === undefined)) {
      throw new ProtocolError("SHAPE", `table: row "${name}" needs a value or a digest`);
    }
    const shown = digest ?? jcsDigest(value);
    try {
      verifyInclusion(leaf(name, shown), index, signed.count, path, signed.root);
    } catch {
      throw foreign(`"${name}" is not a row`);
    }
    places.set(index, name);
    if (value !== undefined) values[name] = value;
  }
  return {
    values,
    whole: false,
    decides: (name) => Object.hasOwn(values, name) || isBetween(places, signed.count, name),
  };
}

const foreign = (what: string) => new ProtocolError("SIGNATURE", `table: ${what} that was signed`);

/** Two rows that stand side by side, one before the name and one after it; or the first or last alone. */
function isBetween(places: ReadonlyMap<number, string>, count: number, name: string): boolean {
  let below = -1;
  let above = count;
  for (const [index, other] of places) {
    if (other === name) return false;
    if (other < name) below = Math.max(below, index);
    else above = Math.min(above, index);
  }
  return above === below + 1;
}

/** Reads rows without their proofs. @throws ProtocolError SHAPE. */
export function peekRows(text: string | undefined): Record<string, unknown> {
  if (text === undefined) return {};
  const { all, some = {} } = decoded(text, false);
  if (all) return all;
  return Object.fromEntries(
    Object.entries(some).flatMap(([name, { value }]) => (value === undefined ? [] : [[name, value]])),
  );
}

/** All rows behind a text, to show some of them: whoever gets them verifies. @throws ProtocolError SHAPE. */
export const tableBehind = (text: string): Promise<Table> => Table.of(peekRows(splitTable(text).beside));

/** @param canonical one table has one text, so that nobody can make copies that differ. */
function decoded(text: string, canonical: boolean): Infer<typeof beside> {
  let value: unknown;
  let plain: string;
  try {
    plain = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(fromBase64url(text));
    value = JSON.parse(plain);
  } catch {
    throw new ProtocolError("SHAPE", "table: rows are not base64url of JSON");
  }
  const rows = parse(beside, value, "table");
  if ((rows.all === undefined) === (rows.some === undefined)) {
    throw new ProtocolError("SHAPE", "table: needs either all rows or some");
  }
  if (canonical && jcs(value) !== plain) throw new ProtocolError("SHAPE", "table: rows are not canonical JSON");
  return rows;
}

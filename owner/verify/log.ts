/** The ledger's log: all leaves, the root at any size, and this pipeline's entries. */
import { fromHex, hex, utf8 } from "../../protocol/bytes";
import { jcs } from "../../protocol/canonical";
import { publicKey } from "../../protocol/crypto";
import { ProtocolError } from "../../protocol/errors";
import { verifyJws } from "../../protocol/jws";
import { EMPTY_ROOT, inclusionProof, leafHash, type NodeSource, nodeHash, subtreeRoot } from "../../protocol/merkle";
import { type Head, head, type LogEntry, logEntry } from "../../protocol/messages";
import { hex32 } from "../../protocol/messages/common";
import { object, parse, text } from "../../protocol/shape";
import { HEAD, LOG } from "../run-folder/layout";
import type { Folder } from "./folder";
import { groupBy } from "./group";
import type { Findings } from "./report";

/** A head that somebody outside the folder saw: a signed one, or its size and root. */
export type PinnedHead = string | { readonly size: number; readonly root: string };

const lineHash = object({ hash: hex32 });
const lineEntry = object({ entry: text({ max: 4000 }) });

export class Log {
  /** This pipeline's entries, in order. */
  readonly entries: readonly LogEntry[];
  private readonly byDigest: ReadonlyMap<string, LogEntry[]>;
  private readonly levels: Uint8Array[][];

  private constructor(
    leaves: Uint8Array[],
    entries: LogEntry[],
    readonly head: Head | undefined,
    private readonly ledgerKey: string,
  ) {
    this.entries = entries;
    this.byDigest = groupBy(entries, ({ digest }) => digest);
    this.levels = perfectSubtrees(leaves);
  }

  get size(): number {
    return this.levels[0]?.length ?? 0;
  }

  /** Reads log.jsonl and head.jws, and holds them against each other. */
  static async read(folder: Folder, ledgerKey: string, pipelineUid: string, findings: Findings): Promise<Log> {
    const { leaves, entries } = readLines(folder, pipelineUid, findings);
    const log = new Log(leaves, entries, await readHead(folder, ledgerKey, findings), ledgerKey);
    if (log.head) {
      if (log.head.size !== log.size) {
        findings.add("LOG", LOG, `has ${log.size} leaves, the signed head ${log.head.size}`);
      } else if ((await log.rootAt(log.size)) !== log.head.root) {
        findings.add("LOG", LOG, "the leaves' Merkle root is not the one that the ledger signed");
      }
    }
    return log;
  }

  /** @param size from 0 to this log's. */
  async rootAt(size: number): Promise<string> {
    if (size === 0) return hex(EMPTY_ROOT);
    const nodes: NodeSource = (level, index) => this.levels[level]?.[index] as Uint8Array;
    return hex(await subtreeRoot(nodes, 0, size));
  }

  /** Audit path of an entry to the root of this log. */
  inclusion(seq: number): Promise<string[]> {
    const nodes: NodeSource = (level, index) => this.levels[level]?.[index] as Uint8Array;
    return inclusionProof(nodes, seq, this.size);
  }

  /** Why this log does not extend that head, or undefined when it does. */
  async contradicts(seen: { size: number; root: string }): Promise<string | undefined> {
    if (seen.size > this.size) return `a head of size ${seen.size} was seen, this log has ${this.size} leaves`;
    if ((await this.rootAt(seen.size)) === seen.root) return undefined;
    return `this log does not extend the head of size ${seen.size} that was seen`;
  }

  /** Verifies a signed head of this ledger and that this log extends it. @returns it, or why not. */
  async extendsSigned(token: string): Promise<{ head?: Head; problem?: string }> {
    try {
      const seen = await verifyHead(token, this.ledgerKey);
      const problem = await this.contradicts(seen);
      return problem === undefined ? { head: seen } : { head: seen, problem };
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      return { problem: error.message };
    }
  }

  /** Entries with all that is given, in order. */
  find(wanted: Partial<LogEntry>): LogEntry[] {
    const fields = Object.entries(wanted);
    const among = wanted.digest === undefined ? this.entries : (this.byDigest.get(wanted.digest) ?? []);
    return among.filter((e) => fields.every(([field, value]) => e[field as keyof LogEntry] === value));
  }
}

export const logLine = (seq: number): string => `line ${seq + 1}`;

async function verifyHead(token: string, ledgerKey: string): Promise<Head> {
  const read = await verifyJws("sealflow-head+jwt", token, publicKey("Ed25519", ledgerKey), head);
  if (read.ledgerKey !== ledgerKey) throw new ProtocolError("KEY", "head: names another ledger key inside");
  return read;
}

async function readHead(folder: Folder, ledgerKey: string, findings: Findings): Promise<Head | undefined> {
  const token = folder.text(HEAD);
  if (token === undefined) return undefined;
  try {
    return await verifyHead(token, ledgerKey);
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    findings.add("SIGNATURE", HEAD, `is not a head of the given ledger: ${error.message}`);
    return undefined;
  }
}

function readLines(folder: Folder, pipelineUid: string, findings: Findings) {
  const leaves: Uint8Array[] = [];
  const entries: LogEntry[] = [];
  const content = folder.text(LOG);
  for (const [seq, line] of (content ? content.split("\n") : []).entries()) {
    const leaf = readLine(line, seq, pipelineUid, findings);
    leaves.push(leaf.hash);
    if (!leaf.entry) continue;
    const before = entries.at(-1)?.seq ?? null;
    if (leaf.entry.previous !== before) {
      const named = leaf.entry.previous === null ? "none" : logLine(leaf.entry.previous);
      const shown = before === null ? "none" : logLine(before);
      findings.add("LOG", LOG, `the pipeline's entry before is ${named}, the folder shows ${shown}`, logLine(seq));
    }
    entries.push(leaf.entry);
  }
  return { leaves, entries };
}

function readLine(
  line: string,
  seq: number,
  pipelineUid: string,
  findings: Findings,
): { hash: Uint8Array; entry?: LogEntry } {
  const bad = (message: string) => {
    findings.add("LOG", LOG, message, logLine(seq));
    return { hash: new Uint8Array(32) };
  };
  try {
    const value: unknown = JSON.parse(line);
    if (jcs(value) !== line) return bad("is not canonical JSON");
    if (!Object.hasOwn(value as object, "entry")) return { hash: fromHex(parse(lineHash, value, logLine(seq)).hash) };
    const { entry: raw } = parse(lineEntry, value, logLine(seq));
    const entry = parse(logEntry, JSON.parse(raw), logLine(seq));
    const hash = leafHash(utf8(raw));
    if (jcs(entry) !== raw) return { ...bad("the entry is not canonical JSON"), hash };
    if (entry.seq !== seq) return { ...bad(`the entry says that it is number ${entry.seq}`), hash };
    if (entry.pipelineUid !== pipelineUid) return { ...bad("the entry is another pipeline's"), hash };
    return { hash, entry };
  } catch (error) {
    return bad(error instanceof ProtocolError ? error.message : "is not a leaf of the log");
  }
}

/** levels[l][i]: hash of the perfect subtree with leaves [i·2^l, (i+1)·2^l). */
function perfectSubtrees(leaves: Uint8Array[]): Uint8Array[][] {
  const levels = [leaves];
  for (let below = leaves; below.length > 1; ) {
    const level: Uint8Array[] = [];
    for (let i = 0; i + 1 < below.length; i += 2) {
      level.push(nodeHash(below[i] as Uint8Array, below[i + 1] as Uint8Array));
    }
    levels.push(level);
    below = level;
  }
  return levels;
}

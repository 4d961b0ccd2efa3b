/**
 * Fills a ledger's database with the rows of steps that were claimed and committed, written as the ledger writes them:
 * the log's tree is whole, so that work goes on behind it. Its texts are of the usual length; nobody verifies them.
 */
import { randomBytes } from "node:crypto";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { Client } from "pg";
import { utf8 } from "../../protocol/bytes";
import { jcs } from "../../protocol/canonical";
import { leafHash, nodeHash } from "../../protocol/merkle";

type Row = Readonly<Record<string, string | number | Uint8Array | null>>;

/** A database that nobody else has open. */
interface Rows {
  all(sql: string): Promise<Record<string, unknown>[]>;
  insert(table: string, rows: readonly Row[]): Promise<void>;
  close(): Promise<void>;
}

export interface FillFacts {
  readonly pipelineUid: string;
  readonly version: string;
  readonly programId: string;
  /** A real one, for its length. */
  readonly request: string;
  readonly commit: string;
}

const SHARDS = 1000;
const hash = (): string => randomBytes(32).toString("hex");

/** Adds the rows of so many steps, in runs of at most 1,000 shards. */
export async function fill(rows: Rows, facts: FillFacts, steps: number): Promise<void> {
  const { pipelineUid, version } = facts;
  const [log] = await rows.all("select size from log where id = 1");
  let size = Number(log?.size);
  const left = await peaks(rows, size);
  const at = Math.floor(Date.now() / 1000);
  for (let done = 0; done < steps; done += SHARDS) {
    const shards = Math.min(SHARDS, steps - done);
    const run = hash();
    const entries: Row[] = [];
    const nodes: Row[] = [];
    const append = (entry: object) => {
      const text = jcs({ v: 1, seq: size, previous: size - 1, pipelineUid, run, at, ...entry });
      entries.push({ seq: size, pipeline_uid: pipelineUid, run, entry: text });
      let node = leafHash(utf8(text));
      let position = size++;
      for (let level = 0; ; level++) {
        nodes.push({ level, position, hash: node });
        if (position % 2 === 0) {
          left[level] = node;
          break;
        }
        node = nodeHash(left[level] as Uint8Array, node);
        position = (position - 1) / 2;
      }
      return size - 1;
    };
    const place = (shard: number) => ({ run, step: "work", shard });
    const all = Array.from({ length: shards }, (_, shard) => {
      append({ kind: "attempt", digest: hash(), step: "work", shard, attempt: 1 });
      return append({ kind: "commit", digest: hash(), step: "work", shard, attempt: 1, content: hash() });
    });
    const ended = { state: "succeeded", opened_at: at, expires_at: at + 86_400, ended_at: at, secret: null };
    await rows.insert("runs", [
      { run, pipeline_uid: pipelineUid, version, request: facts.request, ...ended, remaining: 0, swept: 0 },
    ]);
    await rows.insert("run_steps", [{ run, step: "work", shards, committed: shards, assigned: shards }]);
    const counted = { state: "committed", attempts: 1, running: 0, committed_attempt: 1, claimed_at: at };
    await rows.insert(
      "shards",
      all.map((_, shard) => ({ ...place(shard), ...counted })),
    );
    const attempt = { attempt: 1, program_id: facts.programId, ended: 1, at };
    await rows.insert(
      "attempts",
      all.map((_, shard) => ({ ...place(shard), ...attempt, claim: hash() })),
    );
    const commit = { attempt: 1, outcome: "ok", exit_class: "ok", token: facts.commit };
    await rows.insert(
      "commits",
      all.map((leaf, shard) => ({ ...place(shard), ...commit, digest: hash(), leaf })),
    );
    await rows.insert(
      "objects",
      all.map(() => ({ name: `runs/${run}/${hash()}`, digest: hash(), size: 65_536 })),
    );
    await rows.insert("log_entries", entries);
    await rows.insert("log_nodes", nodes);
  }
  await rows.all(`update log set size = ${size} where id = 1`);
}

/** By level, the node whose right sibling does not exist yet. */
async function peaks(rows: Rows, size: number): Promise<Uint8Array[]> {
  const found: Uint8Array[] = [];
  for (let level = 0; 2 ** level <= size; level++) {
    const count = Math.floor(size / 2 ** level);
    if (count % 2 === 0) continue;
    const [row] = await rows.all(`select hash from log_nodes where level = ${level} and position = ${count - 1}`);
    found[level] = new Uint8Array(row?.hash as Uint8Array);
  }
  return found;
}

export function sqliteRows(path: string): Rows {
  const db = new DatabaseSync(path);
  const prepared = new Map<string, StatementSync>();
  return {
    all: async (sql) => db.prepare(sql).all(),
    async insert(table, rows) {
      const columns = Object.keys(rows[0] ?? {});
      const known = prepared.get(table);
      const values = columns.map(() => "?").join(", ");
      const statement = known ?? db.prepare(`insert into ${table} (${columns.join(", ")}) values (${values})`);
      prepared.set(table, statement);
      db.exec("begin");
      for (const row of rows) statement.run(...columns.map((column) => row[column] as string));
      db.exec("commit");
    },
    close: async () => db.close(),
  };
}

export async function postgresRows(url: string): Promise<Rows> {
  const client = new Client({ connectionString: url });
  await client.connect();
  return {
    all: async (sql) => (await client.query(sql)).rows as Record<string, unknown>[],
    async insert(table, rows) {
      const columns = Object.keys(rows[0] ?? {}).join(", ");
      const plain = rows.map((row) =>
        Object.fromEntries(
          Object.entries(row).map(([k, v]) => [
            k,
            v instanceof Uint8Array ? `\\x${Buffer.from(v).toString("hex")}` : v,
          ]),
        ),
      );
      const from = `select ${columns} from json_populate_recordset(null::${table}, $1::json)`;
      await client.query(`insert into ${table} (${columns}) ${from}`, [JSON.stringify(plain)]);
    },
    async close() {
      // What a server that runs for long has done by itself.
      await client.query("analyze");
      await client.end();
    },
  };
}

/** What the ledger asks of a database, and the embedded engine. The other one is in postgres.ts. */
import { chmodSync, closeSync, openSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Kysely, sql, type Transaction } from "kysely";
import { grouped } from "./group";
import { migrate } from "./migrate";
import { NodeSqliteDialect } from "./node-sqlite";
import type { Tables } from "./tables";

/** What a busy database does not allow now, the next sweep that deletes a secret does. */
const SCRUB_TRIES = 20;

export type Tx = Transaction<Tables>;

export interface Database {
  /**
   * One transaction that may write. Only database calls may be awaited inside: no I/O, no signatures, so that it ends
   * within microseconds. Whatever must not happen twice is a compare-and-set or a unique key, never a value remembered
   * in memory: other processes work on the same database. Several may reach the disk together; each fails alone.
   */
  write<T>(work: (tx: Tx) => Promise<T>): Promise<T>;
  /** One consistent snapshot. */
  read<T>(work: (tx: Tx) => Promise<T>): Promise<T>;
  /** Makes deletions reach the disk: old pages that held a secret are overwritten. */
  scrub(): Promise<void>;
  close(): Promise<void>;
}

export async function openSqlite(dir: string): Promise<Database> {
  const path = join(dir, "ledger.db");
  closeSync(openSync(path, "a", 0o600));
  chmodSync(path, 0o600);
  const writer = new Kysely<Tables>({ dialect: new NodeSqliteDialect({ path, mode: "write" }) });
  await writer.transaction().execute((tx) => migrate(tx, "sqlite"));
  // A ledger that was killed may have left deleted secrets in the write-ahead log.
  await scrub(writer);
  const reader = new Kysely<Tables>({ dialect: new NodeSqliteDialect({ path, mode: "read" }) });
  return {
    write: grouped(writer),
    read: (work) => reader.transaction().execute(work),
    scrub: () => scrub(writer),
    close: async () => {
      await reader.destroy();
      await writer.destroy();
    },
  };
}

/** Tries to empty the write-ahead log; readers of an older state are waited for. */
async function scrub(db: Kysely<Tables>): Promise<void> {
  for (let attempt = 0; attempt < SCRUB_TRIES; attempt++) {
    const { rows } = await sql<{ busy: number }>`pragma wal_checkpoint(truncate)`.execute(db);
    if (rows[0]?.busy === 0) return;
    await sleep(25);
  }
}

/** The one place that knows the database engine. */
import { chmodSync, closeSync, openSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Kysely, sql, type Transaction } from "kysely";
import { Migrator } from "kysely/migration";
import { LedgerError } from "../errors";
import { migrations } from "./migrations";
import { NodeSqliteDialect } from "./node-sqlite";
import type { Tables } from "./tables";

/** What a busy database does not allow now, the next sweep that deletes a secret does. */
const SCRUB_TRIES = 20;

export type Tx = Transaction<Tables>;

export interface Database {
  /**
   * One transaction that may write. Only database calls may be awaited inside: no I/O, no signatures, so that it ends
   * within microseconds. Whatever must not happen twice is a compare-and-set or a unique key, never a value remembered
   * in memory: other processes work on the same database.
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
  await migrate(writer);
  // A ledger that was killed may have left deleted secrets in the write-ahead log.
  await scrub(writer);
  const reader = new Kysely<Tables>({ dialect: new NodeSqliteDialect({ path, mode: "read" }) });
  return {
    write: (work) => writer.transaction().execute(work),
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

/** All in one transaction: of two processes that start at once, the second finds the work done. */
async function migrate(db: Kysely<Tables>): Promise<void> {
  await db.transaction().execute(async (tx) => {
    const { error } = await new Migrator({ db: tx, provider: migrations("sqlite") }).migrateToLatest();
    if (error) {
      throw new LedgerError("CORRUPT", "the ledger's database cannot be brought to this version's schema", {
        cause: error,
      });
    }
  });
}

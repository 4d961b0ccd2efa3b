/** kysely on Node's own SQLite (`node:sqlite`, Node >= 24): one connection, its users one after the other. */
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import {
  CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
  type TransactionSettings,
} from "kysely";
import { LedgerError } from "../errors";

const SQLITE_BUSY = 5;
const SQLITE_FULL = 13;
/** How long a transaction waits for another process's, milliseconds. */
const BUSY_PATIENCE_MS = 10_000;
/** Prepared statements kept per connection. */
const MAX_STATEMENTS = 200;

/**
 * WAL: readers and one writer at once. FULL: a commit is on the disk before it is answered. secure_delete: a deleted
 * run secret is overwritten, not just unlinked.
 */
const PRAGMAS =
  "pragma journal_mode = wal; pragma synchronous = full; pragma foreign_keys = on; pragma secure_delete = on";

export interface NodeSqliteOptions {
  readonly path: string;
  /** Transactions take the write lock when they begin, so that none fails half way for want of it. */
  readonly mode: "write" | "read";
}

export class NodeSqliteDialect implements Dialect {
  constructor(private readonly options: NodeSqliteOptions) {}
  createDriver = (): Driver => new NodeSqliteDriver(this.options);
  createQueryCompiler = () => new SqliteQueryCompiler();
  createAdapter = () => new TransactionalAdapter();
  createIntrospector: Dialect["createIntrospector"] = (db) => new SqliteIntrospector(db);
}

/** SQLite's DDL takes part in transactions; kysely's adapter is careful about drivers that do not. */
class TransactionalAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl(): boolean {
    return true;
  }
}

const [BEGIN, BEGIN_TO_WRITE, COMMIT, ROLLBACK] = ["begin", "begin immediate", "commit", "rollback"].map((text) =>
  CompiledQuery.raw(text),
) as [CompiledQuery, CompiledQuery, CompiledQuery, CompiledQuery];

/** kysely gives the one connection to one user at a time (`supportsMultipleConnections` of its adapter). */
class NodeSqliteDriver implements Driver {
  #connection: Connection | undefined;

  constructor(private readonly options: NodeSqliteOptions) {}

  async init(): Promise<void> {
    this.#connection = await patiently(async () => new Connection(this.options.path));
  }

  async acquireConnection(): Promise<DatabaseConnection> {
    return this.#connection as Connection;
  }

  async releaseConnection(): Promise<void> {}

  async beginTransaction(connection: DatabaseConnection, _settings: TransactionSettings): Promise<void> {
    const begin = this.options.mode === "write" ? BEGIN_TO_WRITE : BEGIN;
    await patiently(() => connection.executeQuery(begin));
  }

  commitTransaction = async (connection: DatabaseConnection): Promise<void> => {
    await connection.executeQuery(COMMIT);
  };

  rollbackTransaction = async (connection: DatabaseConnection): Promise<void> => {
    // SQLite rolls back by itself after some errors (a full disk); a second rollback would hide the first reason.
    if ((connection as Connection).inTransaction) await connection.executeQuery(ROLLBACK);
  };

  async destroy(): Promise<void> {
    this.#connection?.close();
  }
}

interface Prepared {
  readonly statement: StatementSync;
  /** Asking the statement takes longer than a small one does. */
  readonly hasRows: boolean;
}

class Connection implements DatabaseConnection {
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, Prepared>();

  constructor(path: string) {
    this.#db = new DatabaseSync(path, { timeout: 50 });
    try {
      this.#db.exec(PRAGMAS);
    } catch (error) {
      this.#db.close();
      throw named(error);
    }
  }

  get inTransaction(): boolean {
    return this.#db.isTransaction;
  }

  async executeQuery<R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
    try {
      const { statement, hasRows } = this.#prepare(sql);
      const values = parameters as (string | number | null | Uint8Array)[];
      if (hasRows) return { rows: statement.all(...values) as R[] };
      const { changes } = statement.run(...values);
      return { rows: [], numAffectedRows: BigInt(changes) };
    } catch (error) {
      throw named(error);
    }
  }

  // biome-ignore lint/correctness/useYield: kysely asks for the method; nothing of the ledger streams rows
  async *streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new LedgerError("INTERNAL", "streaming of rows is not supported on SQLite");
  }

  close(): void {
    this.#statements.clear();
    if (this.#db.isOpen) this.#db.close();
  }

  #prepare(sql: string): Prepared {
    const known = this.#statements.get(sql);
    if (known) return known;
    const statement = this.#db.prepare(sql);
    const made = { statement, hasRows: statement.columns().length > 0 };
    // The schema's own statements come once; the oldest leaves.
    if (this.#statements.size >= MAX_STATEMENTS) {
      const [oldest] = this.#statements.keys();
      if (oldest !== undefined) this.#statements.delete(oldest);
    }
    this.#statements.set(sql, made);
    return made;
  }
}

/** Waits for another holder of the lock without blocking: it may be a second ledger in this very process. */
async function patiently<T>(work: () => Promise<T>): Promise<T> {
  const deadline = performance.now() + BUSY_PATIENCE_MS;
  for (let pause = 1; ; pause = Math.min(pause * 2, 50)) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof LedgerError) || error.code !== "BUSY" || performance.now() > deadline) throw error;
      await sleep(pause * (0.5 + Math.random()));
    }
  }
}

/** Extended result codes carry the primary code in their low byte. */
function named(error: unknown): unknown {
  const code = (error as { errcode?: number }).errcode;
  if (code === undefined) return error;
  if ((code & 0xff) === SQLITE_BUSY) {
    return new LedgerError("BUSY", "another process is writing to the ledger's database; retry", { cause: error });
  }
  if ((code & 0xff) === SQLITE_FULL) {
    return new LedgerError("STORE_FULL", "the disk of the ledger's database is full; free space and retry", {
      cause: error,
    });
  }
  return error;
}

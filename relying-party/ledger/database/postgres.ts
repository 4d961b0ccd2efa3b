/**
 * The ledger on PostgreSQL (>= 13), for several ledger processes behind one address.
 *
 * Writers take one advisory lock for the length of their transaction. The log is one sequence, so they could not run
 * side by side anyway; and with the lock every transaction sees all that came before it, exactly as on SQLite, and none
 * is ever rolled back because of another. Readers work on a snapshot and wait for nobody.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { Kysely, PostgresDialect, type PostgresPool, type PostgresPoolClient, sql } from "kysely";
import type { Pool, PoolClient, PoolConfig } from "pg";
import { LedgerError } from "../errors";
import { grouped } from "./group";
import { migrate } from "./migrate";
import type { Database } from "./open";
import type { Tables } from "./tables";

/** How long a transaction waits for another's, milliseconds; SQLite's patience. */
const PATIENCE_MS = 10_000;
/** A process that stops in the middle of a transaction holds up the others for this long, milliseconds. */
const STALLED_MS = 20_000;
/** Connections for snapshots. One more writes: transactions of one process would only wait for each other. */
const READERS = 8;
/** Of this database: two ledgers in one database would be one ledger. ASCII "sealflow". */
const LOCK = "8315168209801359223";
/** Statements prepared per connection; with a list of unknown length in it, a statement has many texts. */
const MAX_STATEMENTS = 200;
const INT8 = 20;

export interface PostgresOptions {
  /** `postgres://…`, or any connection string that `pg` takes. Holds a password: never on a command line or in a log. */
  readonly url: string;
  /**
   * CA of the server, PEM, asked at every connection since its owner renews it. Then the connection is TLS, for the name
   * in the URL, which may say nothing else of TLS. Default: as the URL says.
   */
  readonly ca?: () => string;
  /** Unexpected loss of idle connections; nothing to do about, the next use connects again. */
  readonly log?: (line: string) => void;
}

/**
 * @throws LedgerError BUSY when the server cannot be reached, CORRUPT when its schema is not this version's or when the
 * URL says something of TLS beside a CA.
 */
export async function openPostgres({ url, ca, log = () => {} }: PostgresOptions): Promise<Database> {
  if (ca) refuseTlsIn(url);
  // Loaded here: ledgers on SQLite need no client.
  const pg = await import("pg");
  const made: Pool[] = [];
  const kysely = (max: number) => {
    const pool = new pg.Pool({ ...poolOptions(url, pg.types), ...(ca ? { ssl: trusting(ca) } : {}), max });
    pool.on("error", (error) => log(`ledger: idle database connection lost: ${error.message}`));
    made.push(pool);
    return new Kysely<Tables>({ dialect: new PostgresDialect({ pool: prepared(pool) }) });
  };
  const writer = kysely(1);
  const reader = kysely(READERS);
  const close = async (): Promise<void> => {
    await Promise.all([writer.destroy(), reader.destroy()]);
    await Promise.all(made.filter((pool) => !pool.ended).map((pool) => pool.end()));
  };
  const group = grouped(writer, async (tx) => {
    await sql`select pg_advisory_xact_lock(${sql.lit(LOCK)}::bigint)`.execute(tx);
  });
  const write: Database["write"] = (work) => naming(() => group(work));
  try {
    await write((tx) => migrate(tx, "postgres"));
  } catch (error) {
    await close();
    throw error;
  }
  return {
    write,
    read: (work) =>
      naming(() => reader.transaction().setIsolationLevel("repeatable read").setAccessMode("read only").execute(work)),
    scrub: () => scrub(reader),
    close,
  };
}

/**
 * Removes the row versions that still hold deleted secrets, so that no query finds them. PostgreSQL does not overwrite
 * freed bytes at once, nor what its write-ahead log and backups hold: their retention bounds the erasure.
 */
async function scrub(db: Kysely<Tables>): Promise<void> {
  // Another process's vacuum of the table may be under way, and may have begun before this deletion.
  for (let attempt = 0; attempt < 3; attempt++) {
    try {
      await naming(() => sql`vacuum runs`.execute(db));
      return;
    } catch (error) {
      if (!(error instanceof LedgerError) || error.code !== "BUSY") throw error;
      await sleep(50);
    }
  }
}

/** The client takes what its URL says of TLS before everything else, `sslmode=disable` too. */
function refuseTlsIn(url: string): void {
  const [, query = ""] = url.split("?", 2);
  const named = [...new URLSearchParams(query).keys()].filter((name) => /^(ssl|uselibpqcompat)/i.test(name));
  if (named.length === 0) return;
  throw new LedgerError("CORRUPT", `the database's URL names ${named.join(", ")} beside a CA; remove it from the URL`);
}

/** The client copies the field whenever it connects, not before. */
const trusting = (ca: () => string) => ({
  get ca(): string {
    return ca();
  },
  minVersion: "TLSv1.2" as const,
  rejectUnauthorized: true,
});

function poolOptions(url: string, types: typeof import("pg").types): PoolConfig {
  return {
    connectionString: url,
    application_name: "sealflow-ledger",
    connectionTimeoutMillis: PATIENCE_MS,
    lock_timeout: PATIENCE_MS,
    idle_in_transaction_session_timeout: STALLED_MS,
    types: {
      // The library hands out 64-bit numbers as text, for fear of rounding. The ledger's are times, sizes and counts.
      getTypeParser: ((oid: number, format?: "text" | "binary") =>
        oid === INT8 && format !== "binary"
          ? safeInteger
          : types.getTypeParser(oid, format as "text")) as typeof types.getTypeParser,
    },
  };
}

function safeInteger(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new LedgerError("CORRUPT", `the database holds the number ${text}`);
  return value;
}

/** Gives kysely the pool's clients with every statement prepared once per connection. */
function prepared(pool: Pool): PostgresPool {
  const known = new WeakMap<PoolClient, Map<string, string>>();
  return {
    options: pool.options,
    end: () => pool.end(),
    async connect() {
      const client = await pool.connect();
      const names = known.get(client) ?? new Map<string, string>();
      known.set(client, names);
      return named(client, names);
    },
  };
}

function named(client: PoolClient, names: Map<string, string>): PostgresPoolClient {
  const query = (text: string, values: readonly unknown[]) => {
    // `begin`, `commit` and the like have no plan.
    let name = names.get(text);
    if (name === undefined && values.length > 0 && names.size < MAX_STATEMENTS) {
      name = `s${names.size}`;
      names.set(text, name);
    }
    return client.query({ text, values: [...values], ...(name === undefined ? {} : { name }) });
  };
  return { query: query as unknown as PostgresPoolClient["query"], release: (destroy) => client.release(destroy) };
}

/** Classes and codes of SQLSTATE that go away by themselves, and errors of the connection. */
const BUSY = /^(08|40|53[034]|55P03|57P0|25P03|ECONN|ENOENT|ETIMEDOUT|EPIPE)/;
const DISK_FULL = "53100";
const LOST =
  /^(Connection terminated|Client has encountered a connection error|timeout exceeded when trying to connect)/;

async function naming<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const { code, message } = error as { code?: unknown; message?: string };
    if (error instanceof LedgerError) throw error;
    if (code === DISK_FULL) {
      throw new LedgerError("STORE_FULL", "the disk of the ledger's database is full; free space and retry", {
        cause: error,
      });
    }
    if ((typeof code === "string" && BUSY.test(code)) || LOST.test(message ?? "")) {
      throw new LedgerError("BUSY", "the ledger's database does not answer, or is busy; retry", { cause: error });
    }
    throw error;
  }
}

/** The run ledger, as one function from requests to answers. Listening, TLS and start-up belong to the caller. */
import { createSecretKey, randomBytes } from "node:crypto";
import { chmodSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { createApp } from "./app";
import type { Context } from "./context";
import { type Database, openSqlite } from "./database/open";
import { openPostgres } from "./database/postgres";
import { LedgerError } from "./errors";
import { Feed } from "./feed";
import type { Served } from "./input";
import { loadOrMakeSecret } from "./key-file";
import { Signer } from "./signer";
import { sweep } from "./state/sweep";
import { FsStore, type FsStoreOptions } from "./store/fs";
import { openStore, type StoreSettings } from "./store/open";
import type { ObjectStore } from "./store/types";

export { LedgerError } from "./errors";
export type {
  LedgerEvent,
  RunLog,
  RunStatus,
  ShardStatus,
  StepStatus,
  VersionStatus,
} from "./state/reads";

const SWEEP_MS = 10_000;

export interface LedgerOptions {
  /** State: database, key of the ledger, key of the object URLs. Made with mode 0700 when missing. */
  readonly dir: string;
  /**
   * Connection string of a PostgreSQL database that is this ledger's alone; default: SQLite in `dir`. Every process of
   * the ledger has the same keys in its `dir` and the same objects. Holds a password: pass it by file or environment.
   */
  readonly postgresUrl?: string;
  /** CA of that server, PEM, as it is now; default: what the URL says. */
  readonly postgresCa?: () => string;
  /**
   * URL of the object store (`s3://…` or `https://<account>.blob…`, see store/open.ts). Default: the embedded one, files in `objectsDir`.
   * Processes that share a database share it too.
   */
  readonly storeUrl?: string;
  readonly storeSettings?: StoreSettings;
  /** Folder of the embedded object store; default `<dir>/objects`. */
  readonly objectsDir?: string;
  /** Where clients and guests reach this ledger, without a slash at the end; object URLs begin with it. */
  readonly publicUrl: string;
  /** Milliseconds since 1970; default Date.now. */
  readonly now?: () => number;
  /** Default: the system's, blocking until it is seeded. */
  readonly random?: (bytes: number) => Uint8Array;
  /** Ed25519 keys of the owners that this ledger serves; default: every owner, since pipelines certify themselves. */
  readonly owners?: readonly string[];
  /** Milliseconds between sweeps, 0 for none; default 10 000. */
  readonly sweepMs?: number;
  /** Unexpected errors, one line or stack each; default stderr. */
  readonly log?: (line: string) => void;
  readonly files?: FsStoreOptions["files"];
}

export interface Ledger {
  /** @param served what Node's server gives beside the request, as hono's adapter for it does; not needed. */
  readonly handle: (req: Request, served?: Served["Bindings"]) => Promise<Response>;
  /** Raw Ed25519 public key, base64url. */
  readonly ledgerKey: string;
  /** Ends what is due now instead of at the next interval. */
  sweep(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Opens the ledger in `dir`, making what is missing. Several processes may have the same `dir` open.
 * @throws LedgerError CORRUPT when the folder's key and database do not belong together.
 */
export async function createLedger(options: LedgerOptions): Promise<Ledger> {
  const { dir, publicUrl, now = Date.now, random = (n) => new Uint8Array(randomBytes(n)) } = options;
  const log = options.log ?? ((line) => process.stderr.write(`${line}\n`));
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  chmodSync(dir, 0o700);
  const seconds = () => Math.floor(now() / 1000);
  const signer = new Signer(loadOrMakeSecret(join(dir, "ledger.key"), random), seconds);
  const urlKey = createSecretKey(loadOrMakeSecret(join(dir, "object-url.key"), random));
  const { postgresUrl: url, postgresCa: ca } = options;
  const db =
    url === undefined ? await openSqlite(dir) : await openPostgres({ url, log, ...(ca === undefined ? {} : { ca }) });
  try {
    await requireSameKey(db, signer.ledgerKey);
    const embedded = new FsStore({
      dir: options.objectsDir ?? join(dir, "objects"),
      db,
      key: urlKey,
      publicUrl: publicUrl.replace(/\/$/, ""),
      ...(options.files ? { files: options.files } : {}),
    });
    const store: ObjectStore =
      options.storeUrl === undefined ? embedded : openStore(options.storeUrl, db, options.storeSettings);
    if (store === embedded) await embedded.init();
    const closing = new AbortController();
    const ctx: Context = {
      db,
      store,
      signer,
      now: seconds,
      random,
      feed: new Feed(),
      closing: closing.signal,
      owners: options.owners && new Set(options.owners),
    };
    const objects = store === embedded ? { objects: { store: embedded, key: urlKey } } : {};
    const app = createApp({ ctx, ...objects, log });
    const sweeping = repeat(options.sweepMs ?? SWEEP_MS, () => sweep(ctx), log);
    return {
      handle: async (req, served) => app.fetch(req, served),
      ledgerKey: signer.ledgerKey,
      sweep: async () => {
        await sweep(ctx);
      },
      close: async () => {
        closing.abort();
        await sweeping.stop();
        await db.close();
      },
    };
  } catch (error) {
    await db.close();
    throw error;
  }
}

/** A database signed with another key would make every head that clients remember invalid. */
async function requireSameKey(db: Database, ledgerKey: string): Promise<void> {
  const stored = await db.write(async (tx) => {
    await tx
      .insertInto("settings")
      .values({ name: "ledger-key", value: ledgerKey })
      .onConflict((c) => c.doNothing())
      .execute();
    return tx.selectFrom("settings").select("value").where("name", "=", "ledger-key").executeTakeFirstOrThrow();
  });
  if (stored.value !== ledgerKey) {
    throw new LedgerError(
      "CORRUPT",
      "ledger.key is not the key that this ledger's database was made with; restore the key file that belongs to it",
    );
  }
}

function repeat(ms: number, work: () => Promise<unknown>, log: (line: string) => void) {
  let running: Promise<unknown> = Promise.resolve();
  const turn = () => {
    running = running.then(work).catch((error) => log(`ledger: sweep failed: ${(error as Error).message}`));
  };
  const timer = ms > 0 ? setInterval(turn, ms) : undefined;
  timer?.unref();
  return {
    stop: async () => {
      clearInterval(timer);
      await running;
    },
  };
}

/** The databases that a ledger runs on, for suites that hold for all of them. */
import type { LedgerOptions } from "../../relying-party/ledger";

export interface Engine {
  readonly name: "SQLite" | "PostgreSQL";
  /** What selects a new, empty database. SQLite's is in the ledger's own folder. */
  fresh(): Promise<Pick<LedgerOptions, "postgresUrl">>;
}

export const sqlite: Engine = { name: "SQLite", fresh: async () => ({}) };

/** @param database makes an empty one and returns its connection string. */
export const postgres = (database: () => Promise<string>): Engine => ({
  name: "PostgreSQL",
  fresh: async () => ({ postgresUrl: await database() }),
});

/** Brings a database to this version's schema. */
import { Migrator } from "kysely/migration";
import { LedgerError } from "../errors";
import { type Engine, migrations } from "./migrations";
import type { Tx } from "./open";

/**
 * @param tx one transaction around everything: of two processes that start at once, the second finds the work done.
 * @throws LedgerError CORRUPT.
 */
export async function migrate(tx: Tx, engine: Engine): Promise<void> {
  const { error } = await new Migrator({ db: tx, provider: migrations(engine) }).migrateToLatest();
  if (error) {
    throw new LedgerError("CORRUPT", "the ledger's database cannot be brought to this version's schema", {
      cause: error,
    });
  }
}

/**
 * Writing transactions of one process wait for each other anyway. Those that came while one was at work share the next:
 * the disk is waited for once, and each is undone alone when it fails. None is answered before all are on the disk.
 */
import { type Kysely, sql } from "kysely";
import { LedgerError } from "../errors";
import type { Database, Tx } from "./open";
import type { Tables } from "./tables";

/** Later ones take the next transaction: other processes want to write, too. */
const MAX_TOGETHER = 64;

interface Waiting {
  readonly work: (tx: Tx) => Promise<unknown>;
  readonly resolve: (value: never) => void;
  readonly reject: (error: unknown) => void;
}

/** @param begin what each transaction does first. */
export function grouped(writer: Kysely<Tables>, begin: (tx: Tx) => Promise<void> = async () => {}): Database["write"] {
  const waiting: Waiting[] = [];
  let busy = false;

  async function together(group: readonly Waiting[]): Promise<void> {
    const ends: (() => void)[] = [];
    try {
      await writer.transaction().execute(async (tx) => {
        await begin(tx);
        for (const one of group) ends.push(await (group.length === 1 ? alone(tx, one) : undoable(tx, one)));
      });
    } catch (error) {
      for (const { reject } of group) reject(error);
      return;
    }
    for (const end of ends) end();
  }

  async function drain(): Promise<void> {
    busy = true;
    while (waiting.length > 0) {
      // SQLite answers without giving way: whoever has arrived meanwhile is heard first, and comes along.
      await new Promise(setImmediate);
      await together(waiting.splice(0, MAX_TOGETHER));
    }
    busy = false;
  }

  return (work) =>
    new Promise((resolve, reject) => {
      waiting.push({ work, resolve, reject });
      if (!busy) void drain();
    });
}

async function alone(tx: Tx, { work, resolve }: Waiting): Promise<() => void> {
  const value = await work(tx);
  return () => resolve(value as never);
}

/** @throws why the transaction itself is lost, when this one cannot be undone alone. */
async function undoable(tx: Tx, one: Waiting): Promise<() => void> {
  await sql`savepoint one`.execute(tx);
  try {
    const end = await alone(tx, one);
    await sql`release savepoint one`.execute(tx);
    return end;
  } catch (error) {
    try {
      await sql`rollback to savepoint one`.execute(tx);
      await sql`release savepoint one`.execute(tx);
    } catch (lost) {
      // A refusal is one caller's own; whatever else the database could not do is why all of it is gone.
      one.reject(error);
      throw error instanceof LedgerError ? lost : error;
    }
    return () => one.reject(error);
  }
}

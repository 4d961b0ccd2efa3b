/**
 * Queries whose text is made once. Building and compiling one with kysely costs several times what SQLite needs for its
 * rows, and a step asks some forty of the same ones.
 */
import type { Compilable, CompiledQuery, DeleteResult, InsertResult, Kysely, QueryResult, UpdateResult } from "kysely";
import { LedgerError } from "../errors";
import type { Tx } from "./open";
import type { Tables } from "./tables";

type NoRows = InsertResult | UpdateResult | DeleteResult;

/** Stands for a value while the text is made. Whatever would look into it fails: there is nothing to decide by. */
class Placeholder {
  /** @param row whose value it is; undefined: of those that are there once. */
  constructor(
    readonly field: string,
    readonly row?: number,
  ) {}

  [Symbol.toPrimitive](): never {
    throw new TypeError(`the value of ${this.field} is not known when its query is made`);
  }
}

const placeholders = (row?: number): never =>
  new Proxy(Object.freeze({}), { get: (_, field: string) => new Placeholder(field, row) }) as never;

/**
 * Makes the text of a query from what stands for its values: each must become a parameter. Called once per database and
 * number of rows. kysely checks the types.
 * @param values what is asked for. @param rows what is asked for several times.
 */
type Build<P, Row, Made> = (db: Kysely<Tables>, values: P, rows: readonly Row[]) => Made;

/** A query by the values it is asked with. */
export function query<P extends object, R, Row extends object>(
  build: Build<P, Row, Compilable<R> & (R extends NoRows ? never : unknown)>,
): (tx: Tx, values: P, rows?: readonly Row[]) => Promise<R[]> {
  const run = compiledOnce(build);
  return async (tx, values, rows) => (await run(tx, values, rows)).rows;
}

/** As `query`, for statements without rows. @returns how many rows were changed. */
export function change<P extends object, Row extends object>(
  build: Build<P, Row, Compilable<NoRows>>,
): (tx: Tx, values: P, rows?: readonly Row[]) => Promise<number> {
  const run = compiledOnce(build);
  return async (tx, values, rows) => Number((await run(tx, values, rows)).numAffectedRows ?? 0);
}

/** The row that must be there. @throws LedgerError CORRUPT. */
export function only<R>([row]: readonly R[], what: string): R {
  if (row === undefined) throw new LedgerError("CORRUPT", `the database has no ${what}`);
  return row;
}

function compiledOnce<P extends object, Row extends object, R>(build: Build<P, Row, Compilable<R>>) {
  // By what knows the database's dialect, then by the number of rows. A ledger that is closed leaves nothing behind.
  const known = new WeakMap<object, CompiledQuery<R>[]>();
  return (tx: Tx, values: P, rows: readonly Row[] = []): Promise<QueryResult<R>> => {
    const executor = tx.getExecutor();
    const { adapter } = executor;
    const texts = known.get(adapter) ?? [];
    known.set(adapter, texts);
    const text =
      texts[rows.length] ??
      build(
        tx,
        placeholders(),
        rows.map((_, i) => placeholders(i)),
      ).compile();
    texts[rows.length] = text;
    const parameters = text.parameters.map((p) => (p instanceof Placeholder ? valueFor(p, values, rows) : p));
    const filled = { ...text, parameters };
    // `tx.executeQuery` without the plugins, which nothing here has.
    return executor.provideConnection((connection) => connection.executeQuery(filled));
  };
}

const valueFor = ({ field, row }: Placeholder, values: object, rows: readonly object[]): unknown =>
  ((row === undefined ? values : rows[row]) as Record<string, unknown>)[field];

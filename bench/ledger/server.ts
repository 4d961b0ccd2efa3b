/**
 * A ledger over HTTP that writes down the database statements it makes: server.js <folder> <PostgreSQL URL or ""> <file>.
 * Prints its port; ends when its input does, and then writes the statements to the file.
 */
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { DatabaseSync } from "node:sqlite";
import { serialize } from "node:v8";
import { createAdaptorServer } from "@hono/node-server";
import { Client } from "pg";
import { createLedger } from "../../relying-party/ledger";

/** One statement: connection, text, values. In the order in which they were made. */
export type Statement = readonly [connection: number, text: string, values: readonly unknown[]];
const statements: Statement[] = [];

/** Numbers connections as they come. */
function numbering(): (connection: object) => number {
  const known = new Map<object, number>();
  return (connection) => {
    const found = known.get(connection) ?? known.size;
    known.set(connection, found);
    return found;
  };
}

function watchSqlite(): void {
  const number = numbering();
  const { prepare } = DatabaseSync.prototype;
  DatabaseSync.prototype.prepare = function (text: string) {
    const statement = prepare.call(this, text);
    for (const way of ["all", "run"] as const) {
      const original = statement[way].bind(statement) as (...values: unknown[]) => never;
      statement[way] = (...values: unknown[]) => {
        statements.push([number(this), text, values]);
        return original(...values);
      };
    }
    return statement;
  };
  const { exec } = DatabaseSync.prototype;
  DatabaseSync.prototype.exec = function (text: string) {
    statements.push([number(this), text, []]);
    exec.call(this, text);
  };
}

function watchPostgres(): void {
  const number = numbering();
  const prototype = Client.prototype as { query: (...args: unknown[]) => unknown };
  const { query } = prototype;
  prototype.query = function (this: object, ...args: unknown[]) {
    const [config] = args;
    const { text, values = [] } = (typeof config === "string" ? { text: config } : config) as {
      text: string;
      values?: unknown[];
    };
    if (text !== undefined) statements.push([number(this), text, values]);
    return query.apply(this, args);
  };
}

async function main([dir = "", url = "", file = ""]: string[]): Promise<void> {
  if (url === "") watchSqlite();
  else watchPostgres();
  const ledger = await createLedger({
    dir,
    publicUrl: "http://ledger.bench",
    sweepMs: 0,
    ...(url === "" ? {} : { postgresUrl: url }),
  });
  // What opening it took is no part of the load.
  statements.length = 0;
  const server = createAdaptorServer({ fetch: ledger.handle, createServer, overrideGlobalObjects: false });
  server.listen(0, "127.0.0.1", () => {
    process.stdout.write(
      `${JSON.stringify({ port: (server.address() as AddressInfo).port, key: ledger.ledgerKey })}\n`,
    );
  });
  process.stdin.resume().once("end", async () => {
    const made = statements.slice();
    await ledger.close();
    writeFileSync(file, serialize(made));
    process.exit(0);
  });
}

main(process.argv.slice(2)).catch((error: Error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});

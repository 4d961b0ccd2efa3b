/**
 * A ledger over plain HTTP on a free port, for tests that kill it: `<dir>`; prints its port.
 * The clock is the system's.
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createAdaptorServer } from "@hono/node-server";
import { createLedger } from "../../relying-party/ledger";

async function main(dir: string): Promise<void> {
  const ledger = await createLedger({ dir, publicUrl: "http://ledger.test" });
  const server = createAdaptorServer({ fetch: ledger.handle, createServer, overrideGlobalObjects: false });
  server.listen(0, "127.0.0.1", () => process.stdout.write(`${(server.address() as AddressInfo).port}\n`));
}

main(process.argv[2] ?? "").catch((error: Error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});

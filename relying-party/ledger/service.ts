/**
 * The ledger as a process of its own: secrets from files that an orchestrator mounts, HTTPS on one port, PostgreSQL when a
 * URL is among the secrets, over TLS when its CA is. Leaves that are renewed in their files are taken up while it runs.
 */
import { once } from "node:events";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { createAdaptorServer } from "@hono/node-server";
import { LedgerError } from "./errors";
import { createLedger } from "./index";

/** Looking is reading two small files; the kubelet writes them within a minute of a renewal. */
const RENEW_MS = 10_000;
const DATABASE_CA = "database-ca.crt";
const SEEDS = ["ledger.key", "object-url.key"] as const;

export interface LedgerService {
  readonly port: number;
  readonly ledgerKey: string;
  close(): Promise<void>;
}

/** @param env SEALFLOW_LEDGER_SECRETS, _STATE, _OBJECTS or _STORE, _URL, _PORT. @throws LedgerError CORRUPT, naming what is missing. */
export async function startLedgerService(
  env: Readonly<Record<string, string | undefined>>,
  log: (line: string) => void,
): Promise<LedgerService> {
  const missing = ["SECRETS", "STATE", "URL"].filter((name) => !env[`SEALFLOW_LEDGER_${name}`]);
  if (missing.length > 0) {
    throw new LedgerError("CORRUPT", `not set: ${missing.map((name) => `SEALFLOW_LEDGER_${name}`).join(", ")}`);
  }
  const secrets = env.SEALFLOW_LEDGER_SECRETS as string;
  const dir = env.SEALFLOW_LEDGER_STATE as string;
  const read = (name: string): string | undefined => {
    try {
      return readFileSync(join(secrets, name), "utf8");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    }
  };
  const need = (name: string): string => {
    const text = read(name);
    if (text === undefined)
      throw new LedgerError("CORRUPT", `${join(secrets, name)} is missing; mount it from a Secret`);
    return text;
  };
  // Mounted secrets are readable by a group; the ledger takes keys that only their owner can read.
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  for (const name of SEEDS) {
    const file = join(dir, name);
    writeFileSync(file, need(name).trim(), { mode: 0o600 });
    chmodSync(file, 0o600);
  }
  const postgresUrl = read("database-url")?.trim();
  const ledger = await createLedger({
    dir,
    publicUrl: env.SEALFLOW_LEDGER_URL as string,
    log,
    ...(postgresUrl ? { postgresUrl } : {}),
    ...(postgresUrl && read(DATABASE_CA) !== undefined ? { postgresCa: () => need(DATABASE_CA) } : {}),
    ...(env.SEALFLOW_LEDGER_OBJECTS ? { objectsDir: env.SEALFLOW_LEDGER_OBJECTS } : {}),
    ...(env.SEALFLOW_LEDGER_STORE ? { storeUrl: env.SEALFLOW_LEDGER_STORE } : {}),
  });
  const identity = () => ({ cert: need("tls.crt"), key: need("tls.key"), minVersion: "TLSv1.2" as const });
  let current = identity();
  const server = createAdaptorServer({
    fetch: ledger.handle,
    createServer,
    serverOptions: current,
    overrideGlobalObjects: false,
  }) as Server;
  // Uploads of large objects take longer than Node's five minutes.
  server.requestTimeout = 0;
  const renewal = setInterval(() => {
    try {
      const found = identity();
      if (found.cert === current.cert) return;
      server.setSecureContext(found);
      current = found;
      log("ledger: took up a renewed certificate");
    } catch (error) {
      log(`ledger: keeps its certificate: ${(error as Error).message}`);
    }
  }, RENEW_MS).unref();
  server.listen(Number(env.SEALFLOW_LEDGER_PORT ?? 8443));
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    ledgerKey: ledger.ledgerKey,
    close: async () => {
      clearInterval(renewal);
      const closed = once(server, "close");
      server.close();
      server.closeIdleConnections();
      await closed;
      await ledger.close();
    },
  };
}

/** `sealflow dev`: the relying party of one project on loopback, in this process or in the background. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { ADMIN_ENDPOINTS } from "../../policy";
import type { Connection } from "../../protocol/connection";
import { type AdminRules, createDevKbs } from "../dev-kbs";
import { type AdminKey, adminPublicPem, adminTokens, createAdminKey, KbsAdmin, parseAdminKey } from "../kbs-client";
import { createLedger } from "../ledger";
import { serverIdentity } from "./certificates";
import { DevError } from "./errors";
import { type DevPaths, devPaths, privateDir, readIfThere, writePrivate } from "./files";
import { type Lock, takeLock } from "./lock";
import { readPorts, writePorts } from "./ports";
import { type Handle, type Listener, listen } from "./serve";
import { chooseStore } from "./store";

export { type DevStatus, devStatus, startDevDetached, stopDev } from "./background";
export { DevError } from "./errors";
export { devStoreOrigin } from "./store";

/** How often a long-running process looks whether its leaf has to be renewed, milliseconds. */
const RENEW_CHECK_MS = 12 * 3600 * 1000;

export interface DevOptions {
  /** State folder, such as `.sealflow`; made when missing. */
  readonly home: string;
  /** URL of an object store on this machine, such as `s3://bucket?endpoint=http://127.0.0.1:9000`. Default: the embedded one. */
  readonly store?: string;
  /** One line per thing worth telling; never a secret. Default: stderr. */
  readonly log?: (line: string) => void;
}

export interface Dev {
  readonly connection: Connection;
  close(): Promise<void>;
}

/**
 * Starts KBS, ledger and object store. Everything that guests' identities depend on is made at the first start and kept.
 * @throws DevError RUNNING, PORT_TAKEN or STATE.
 */
export async function startDev(options: DevOptions): Promise<Dev> {
  const log = options.log ?? ((line) => process.stderr.write(`${line}\n`));
  const paths = devPaths(options.home);
  privateDir(paths.home);
  privateDir(paths.dev);
  const lock = takeLock(paths);
  const undo: (() => unknown)[] = [];
  try {
    const connection = await start(paths, chooseStore(paths, options.store), log, undo);
    return { connection, close: () => stop(undo, lock) };
  } catch (error) {
    await stop(undo, lock);
    throw error;
  }
}

async function start(
  paths: DevPaths,
  store: string | undefined,
  log: (line: string) => void,
  undo: (() => unknown)[],
): Promise<Connection> {
  const identity = await serverIdentity(paths.tls);
  const adminKey = makeOnce(paths);
  const known = readPorts(paths);

  // Ports come first: what is in the services depends on their own URLs.
  let handleKbs: Handle = notReady;
  let handleLedger: Handle = notReady;
  const kbsServer = await listen("KBS", known?.kbs ?? 0, identity, (...served) => handleKbs(...served));
  undo.push(() => kbsServer.close());
  const ledgerServer = await listen("ledger", known?.ledger ?? 0, identity, (...served) => handleLedger(...served));
  undo.push(() => ledgerServer.close());
  if (!known) writePorts(paths, { kbs: kbsServer.port, ledger: ledgerServer.port });
  const kbsUrl = `https://127.0.0.1:${kbsServer.port}`;
  const ledgerUrl = `https://127.0.0.1:${ledgerServer.port}`;

  privateDir(paths.kbs);
  const kbs = createDevKbs({ dir: paths.kbs, admin: adminRules(adminKey) });
  undo.push(() => kbs.close());
  handleKbs = (req) => kbs.handle(req);
  const ledger = await createLedger({
    dir: paths.ledger,
    objectsDir: paths.objects,
    publicUrl: ledgerUrl,
    log,
    ...(store === undefined ? {} : { storeUrl: store }),
  });
  undo.push(() => ledger.close());
  handleLedger = ledger.handle;

  await installPolicies(kbsUrl, identity.caPem, adminKey);
  undo.push(renewLeaf(paths, [kbsServer, ledgerServer], log));
  const connection: Connection = {
    version: 1,
    kbsUrl,
    ledgerUrl,
    caPem: identity.caPem,
    ledgerKey: ledger.ledgerKey,
  };
  // Last: whoever finds it finds everything else ready.
  const text = `${JSON.stringify(connection, null, 2)}\n`;
  if (readIfThere(paths.connection) !== text) writePrivate(paths.connection, text);
  return connection;
}

const notReady: Handle = async () =>
  Response.json({ error: { code: "BUSY", message: "starting; retry" } }, { status: 503 });

async function installPolicies(url: string, caPem: string, key: AdminKey): Promise<void> {
  const admin = new KbsAdmin({ url, caPem, token: adminTokens(key) });
  try {
    await admin.putPolicies();
  } finally {
    admin.close();
  }
}

/** What the KBS is configured with: the key's public half, and one role that may do what the provider does. */
export const adminRules = (key: AdminKey): AdminRules => ({
  publicKeyPem: adminPublicPem(key),
  issuer: key.claims.issuer,
  audience: key.claims.audience,
  acls: [{ role: key.claims.role, allowedEndpoints: ADMIN_ENDPOINTS }],
});

function makeOnce({ adminKey: file, dev }: DevPaths): AdminKey {
  // Until there was a key, a token lay here that never ended.
  rmSync(join(dev, "admin-token"), { force: true });
  const known = readIfThere(file);
  const text = known ?? createAdminKey();
  if (known === undefined) writePrivate(file, text);
  try {
    return parseAdminKey(text, file);
  } catch (cause) {
    throw new DevError("STATE", `${(cause as Error).message}. Remove the file to make a new key`, { cause });
  }
}

/** @returns how to stop looking. */
function renewLeaf(paths: DevPaths, servers: Listener[], log: (line: string) => void): () => void {
  const timer = setInterval(async () => {
    try {
      const identity = await serverIdentity(paths.tls);
      for (const server of servers) server.renew(identity);
    } catch (error) {
      log(`dev: certificate cannot be renewed: ${(error as Error).message}`);
    }
  }, RENEW_CHECK_MS);
  timer.unref();
  return () => clearInterval(timer);
}

/** In reverse order; one failure does not keep the rest open. */
async function stop(undo: (() => unknown)[], lock: Lock): Promise<void> {
  let first: unknown;
  for (const step of undo.splice(0).reverse()) {
    try {
      await step();
    } catch (error) {
      first ??= error;
    }
  }
  lock.release();
  if (first) throw first;
}

/**
 * Microsoft's own emulator of Azure Blob, Azurite, as a server of the test's own, everything in memory. It takes bearer
 * tokens and keys of user delegation, so the ledger signs in as in production, at a small authority of the test's.
 * Azurite wants TLS for tokens; a way without it, to this machine only, leads to it.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type RequestListener, type Server } from "node:http";
import { request } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort } from "./free-port";
import { certificates } from "./https";
import { npmTool } from "./npm-tool";

const tool = () => npmTool("azurite", "3.37.0");
const ACCOUNT = "devstoreaccount1";
const TENANT = "66666666-7777-4888-9999-aaaaaaaaaaaa";
const CLIENT = "11111111-2222-4333-8444-555555555555";
/** Of the ledger's service account, as the kubelet writes it. */
export const FEDERATED = "planted-federated-token-8d41c2";

/** @returns why there is no server to test with, or undefined. */
export function azuriteMissing(): string | undefined {
  const found = tool();
  return "missing" in found ? found.missing : undefined;
}

export interface AzuriteServer {
  /** Environment of a ledger with the identity that may use the store. */
  readonly env: Readonly<Record<string, string>>;
  /** Makes a container. @returns the URL of a store in it, as a ledger takes it. */
  container(name: string): Promise<string>;
  /** Names in a container, below the store's prefix. */
  keys(name: string): Promise<string[]>;
  /** Names with blocks that belong to no object. */
  unfinished(name: string): Promise<string[]>;
  /** Of how many blocks an object was made. */
  parts(name: string, key: string): Promise<number>;
  object(name: string, key: string): Promise<Buffer>;
  replace(name: string, key: string, bytes: Uint8Array): Promise<void>;
  stop(): Promise<void>;
}

const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");

/** Azurite reads the claims and believes them. */
function accessToken(): string {
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    aud: "https://storage.azure.com/",
    iss: `https://sts.windows.net/${TENANT}/`,
    iat: now,
    nbf: now - 60,
    exp: now + 3600,
    oid: CLIENT,
    tid: TENANT,
  };
  return [part({ alg: "none", typ: "JWT" }), part(claims), "none"].join(".");
}

/** Gives tokens for the federated one of the one client. */
const authority: RequestListener = (incoming, outgoing) => {
  let body = "";
  incoming.setEncoding("utf8").on("data", (text: string) => (body += text));
  incoming.on("end", () => {
    const asked = new URLSearchParams(body);
    const fits =
      incoming.url === `/${TENANT}/oauth2/v2.0/token` &&
      asked.get("client_id") === CLIENT &&
      asked.get("client_assertion") === FEDERATED &&
      asked.get("scope") === "https://storage.azure.com/.default";
    outgoing.writeHead(fits ? 200 : 401, { "content-type": "application/json" });
    outgoing.end(
      JSON.stringify(fits ? { access_token: accessToken(), expires_in: 3600 } : { error: "invalid_client" }),
    );
  });
};

const wayTo =
  (port: number): RequestListener =>
  (incoming, outgoing) => {
    const { method, url: path, headers } = incoming;
    const options = { host: "127.0.0.1", port, method, path, headers, rejectUnauthorized: false };
    const sent = request(options, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    sent.on("error", () => outgoing.destroy());
    incoming.pipe(sent);
  };

async function listening(listener: RequestListener): Promise<{ server: Server; origin: string }> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { server, origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

export async function startAzurite(): Promise<AzuriteServer> {
  const found = tool();
  if ("missing" in found) throw new Error(found.missing);
  const dir = mkdtempSync(join(tmpdir(), "azurite-"));
  const { cert, key } = await certificates([]);
  const write = (name: string, text: string): string => {
    writeFileSync(join(dir, name), text, { mode: 0o600 });
    return join(dir, name);
  };
  const port = await freePort();
  const tls = ["--oauth", "basic", "--cert", write("cert.pem", cert), "--key", write("key.pem", key)];
  const where = ["--blobHost", "127.0.0.1", "--blobPort", String(port), "--inMemoryPersistence"];
  const main = join(found.folder, "dist/src/blob/main.js");
  const child = spawn(process.execPath, [main, ...where, ...tls, "--silent", "--disableTelemetry"], {
    stdio: "ignore",
  });
  const stop = async (servers: readonly Server[]): Promise<void> => {
    for (const server of servers) {
      server.closeAllConnections();
      server.close();
    }
    const ended = new Promise((resolve) => child.once("exit", resolve));
    if (child.exitCode === null) {
      child.kill("SIGKILL");
      await ended;
    }
    rmSync(dir, { recursive: true, force: true });
  };
  const [front, entra] = await Promise.all([listening(wayTo(port)), listening(authority)]);
  const base = `${front.origin}/${ACCOUNT}`;
  for (const until = Date.now() + 60_000; ; await sleep(100)) {
    if (await fetch(base).catch(() => undefined)) break;
    if (child.exitCode === null && Date.now() < until) continue;
    await stop([front.server, entra.server]);
    throw new Error(
      `Azurite does not answer${child.exitCode === null ? "" : `: it ended with code ${child.exitCode}`}`,
    );
  }
  const call = async (method: string, path: string, headers: Record<string, string> = {}, body?: Buffer) => {
    const own = { authorization: `Bearer ${accessToken()}`, "x-ms-version": "2024-11-04" };
    const init = { method, headers: { ...own, ...headers }, ...(body ? { body: new Uint8Array(body) } : {}) };
    const answer = await fetch(`${base}/${path}`, init);
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${answer.headers.get("x-ms-error-code")}`);
    return answer;
  };
  const names = async (container: string, more = "") => {
    const text = await (await call("GET", `${container}?restype=container&comp=list${more}`)).text();
    return [...text.matchAll(/<Name>([^<]*)<\/Name>/g)].map(([, name = ""]) => name);
  };
  return {
    env: {
      AZURE_CLIENT_ID: CLIENT,
      AZURE_TENANT_ID: TENANT,
      AZURE_FEDERATED_TOKEN_FILE: write("token", `${FEDERATED}\n`),
      AZURE_AUTHORITY_HOST: `${entra.origin}/`,
    },
    async container(name) {
      await call("PUT", `${name}?restype=container`);
      return `${base}/${name}/objects?account=${ACCOUNT}`;
    },
    keys: (name) => names(name),
    async unfinished(name) {
      const committed = await names(name);
      return (await names(name, "&include=uncommittedblobs")).filter((key) => !committed.includes(key));
    },
    async parts(name, key) {
      const text = await (await call("GET", `${name}/${key}?comp=blocklist&blocklisttype=committed`)).text();
      return [...text.matchAll(/<Block>/g)].length;
    },
    object: async (name, key) => Buffer.from(await (await call("GET", `${name}/${key}`)).arrayBuffer()),
    async replace(name, key, bytes) {
      await call("PUT", `${name}/${key}`, { "x-ms-blob-type": "BlockBlob" }, Buffer.from(bytes));
    },
    stop: () => stop([front.server, entra.server]),
  };
}

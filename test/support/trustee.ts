/** A real Trustee key broker on loopback, with the configuration that Sealflow makes for production. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { brokerConfig } from "../../policy";
import { serverIdentity } from "../../relying-party/dev/certificates";
import { HttpsClient } from "../../relying-party/http/client";
import { type AdminKey, adminPublicPem, createAdminKey, parseAdminKey } from "../../relying-party/kbs-client";

export interface RunningTrustee {
  readonly url: string;
  readonly caPem: string;
  readonly adminKey: AdminKey;
  /** What it has logged. */
  log(): string;
  close(): Promise<void>;
}

const START_MS = 30_000;

/** @param binary Trustee's `kbs`, 0.21 or later, with the attestation service built in. */
export async function startTrustee(binary: string): Promise<RunningTrustee> {
  const dir = mkdtempSync(path.join(tmpdir(), "sealflow-trustee-"));
  const at = (name: string) => path.join(dir, name);
  const write = (name: string, text: string): string => {
    writeFileSync(at(name), text, { mode: 0o600 });
    return at(name);
  };
  const tls = await serverIdentity(at("tls"));
  const signer = await serverIdentity(at("signer"));
  const adminKey = parseAdminKey(createAdminKey(), "test");
  const port = await freePort();
  const config = brokerConfig({
    version: "0.22",
    sockets: [`127.0.0.1:${port}`],
    tls: { privateKey: write("tls.key", tls.keyPem), certificate: write("tls.pem", tls.certPem) },
    tokenSigner: {
      key: write("token.key", signer.keyPem),
      certificate: write("token-chain.pem", `${signer.certPem}\n${signer.caPem}`),
      trustedRoot: write("token-root.pem", signer.caPem),
    },
    adminPublicKey: write("admin.pem", adminPublicPem(adminKey)),
    storage: { type: "LocalFs", path: at("storage") },
  });
  const child = spawn(binary, ["--config-file", write("kbs.toml", config)], {
    cwd: dir,
    env: { PATH: process.env.PATH, RUST_LOG: "info" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let log = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (log += String(chunk)));
  const url = `https://127.0.0.1:${port}`;
  const close = async () => {
    await end(child);
    rmSync(dir, { recursive: true, force: true });
  };
  try {
    await answers(url, tls.caPem, child);
  } catch (error) {
    await close();
    throw new Error(`Trustee does not start: ${(error as Error).message}\n${config}\n${log.slice(-4000)}`);
  }
  return { url, caPem: tls.caPem, adminKey, log: () => log, close };
}

/** As environment variables name a key broker that runs already. */
export function givenTrustee(env: NodeJS.ProcessEnv): Omit<RunningTrustee, "log" | "close"> | undefined {
  const { SEALFLOW_TEST_KBS: url, SEALFLOW_TEST_KBS_CA: ca, SEALFLOW_KBS_ADMIN_KEY_FILE: key } = env;
  if (!url) return undefined;
  if (!ca || !key) {
    throw new Error("SEALFLOW_TEST_KBS needs SEALFLOW_TEST_KBS_CA (PEM file) and SEALFLOW_KBS_ADMIN_KEY_FILE (JWK)");
  }
  return { url, caPem: readFileSync(ca, "utf8"), adminKey: parseAdminKey(readFileSync(key, "utf8"), key) };
}

async function answers(url: string, caPem: string, child: ChildProcess): Promise<void> {
  const client = new HttpsClient({ url, caPem, retries: 0, timeoutMs: 1000 });
  try {
    for (const deadline = Date.now() + START_MS; ; await sleep(100)) {
      if (child.exitCode !== null) throw new Error(`exit ${child.exitCode}`);
      const status = await client.call("GET", "/healthz").then(
        (answer) => answer.status,
        () => 0,
      );
      if (status === 200) return;
      if (Date.now() > deadline) throw new Error(`no answer at ${url}/healthz`);
    }
  } finally {
    client.close();
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address ? address.port : 0));
    });
  });
}

function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    child.once("exit", () => resolve());
    child.kill("SIGTERM");
    setTimeout(() => child.kill("SIGKILL"), 5000).unref();
  });
}

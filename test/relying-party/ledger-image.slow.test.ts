/** The ledger's image holds what starts, on every machine the same bytes, and serves with PostgreSQL and a read-only root. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { base64url } from "../../protocol/bytes";
import { DAY_MS, makeCa, makeLeaf } from "../../relying-party/tls";
import { makeLedgerImage } from "../support/ledger-image";
import { postgresMissing, startPostgres } from "../support/postgres";

jest.setTimeout(300_000);
const CHECKOUT = path.resolve(__dirname, "../..");
let dir: string;
let child: ChildProcess | undefined;

beforeAll(() => {
  dir = mkdtempSync(path.join(tmpdir(), "sealflow-ledger-image-"));
  execFileSync(process.execPath, [path.join(CHECKOUT, "tools/build.js"), "--quiet"]);
});
afterAll(() => {
  child?.kill("SIGKILL");
  rmSync(dir, { recursive: true, force: true });
});

const image = (name: string) => makeLedgerImage(path.join(dir, name));

it("is the same image when it is made twice, and runs as nobody", async () => {
  const [one, two] = [await image("one"), await image("two")];
  expect(one.digest).toBe(two.digest);
  expect(one.user).toBe("65532:65532");
  expect(one.entrypoint.at(-1)).toBe("/sealflow/ledger.js");
});

const missing = postgresMissing();
if (missing) console.log(`skipped: ledger image with PostgreSQL: ${missing}`);
const withPostgres = missing ? it.skip : it;

withPostgres(
  "starts from its unpacked layers, answers /readyz with PostgreSQL, and writes nothing into them",
  async () => {
    const { unpack, entrypoint } = await image("one");
    const root = path.join(dir, "root");
    unpack(root);
    const postgres = await startPostgres();
    try {
      const url = await postgres.database();
      const secrets = path.join(dir, "secrets");
      mkdirSync(secrets);
      const now = Date.now();
      const ca = await makeCa({ name: "test", notAfter: new Date(now + DAY_MS), now });
      const leaf = await makeLeaf({ ca, name: "ledger", hosts: ["127.0.0.1"], notAfter: new Date(now + DAY_MS), now });
      const secret = (name: string, text: string) => {
        writeFileSync(path.join(secrets, name), text);
        chmodSync(path.join(secrets, name), 0o440);
      };
      secret("tls.key", leaf.keyPem);
      secret("tls.crt", leaf.certPem + ca.certPem);
      secret("ledger.key", base64url(randomBytes(32)));
      secret("object-url.key", base64url(randomBytes(32)));
      secret("database-url", url);
      const port = await freePort();
      const [loader = "", ...args] = entrypoint.map((word) => (word.startsWith("/sealflow") ? root + word : word));
      let said = "";
      child = spawn(loader, args, {
        env: {
          SEALFLOW_LEDGER_SECRETS: secrets,
          SEALFLOW_LEDGER_STATE: path.join(dir, "state"),
          SEALFLOW_LEDGER_URL: `https://127.0.0.1:${port}`,
          SEALFLOW_LEDGER_PORT: String(port),
        },
        stdio: ["ignore", "ignore", "pipe"],
      });
      child.stderr?.setEncoding("utf8").on("data", (text) => (said += text));
      await until(() => /on port/.test(said) || child?.exitCode !== null);
      expect(said).toMatch(/^ledger [\w-]{43} on port/m);
      expect(await status(`https://127.0.0.1:${port}/readyz`, ca.certPem)).toBe(200);
      expect(existsSync(path.join(dir, "state", "ledger.db"))).toBe(false);
      expect(said).not.toContain(url);
      await postgres.stop();
      expect(await status(`https://127.0.0.1:${port}/healthz`, ca.certPem)).toBe(200);
      expect(await status(`https://127.0.0.1:${port}/readyz`, ca.certPem)).not.toBe(200);
      const ended = new Promise((resolve) => child?.once("exit", resolve));
      child.kill("SIGTERM");
      expect(await ended).toBe(0);
    } finally {
      await postgres.stop();
      execFileSync("chmod", ["-R", "u+w", root]);
    }
  },
);

const status = (url: string, ca: string): Promise<number> =>
  new Promise((resolve, reject) => {
    request(url, { ca }, (answer) => {
      answer.resume();
      resolve(answer.statusCode ?? 0);
    })
      .on("error", reject)
      .end();
  });

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function until(done: () => boolean): Promise<void> {
  for (let n = 0; n < 600 && !done(); n++) await new Promise((resolve) => setTimeout(resolve, 100));
}

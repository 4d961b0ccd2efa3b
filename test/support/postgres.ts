/**
 * A PostgreSQL server of the test's own: Debian's programs, a new folder, a unix socket and no port.
 * Where the programs are not there, `postgresMissing()` says so and the suites are skipped.
 */
import { execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Client } from "pg";

const INSTALLED = "/usr/lib/postgresql";

function programs(): string | undefined {
  const versions = existsSync(INSTALLED) ? readdirSync(INSTALLED).filter((v) => Number(v) >= 13) : [];
  const [newest] = versions.sort((a, b) => Number(b) - Number(a));
  const bin = newest === undefined ? undefined : join(INSTALLED, newest, "bin");
  return bin !== undefined && existsSync(join(bin, "initdb")) ? bin : undefined;
}

/** The server refuses to run as root. */
function account(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  for (const name of ["postgres", "nobody"]) {
    try {
      const id = (flag: string) => Number(execFileSync("id", [flag, name], { stdio: ["ignore", "pipe", "ignore"] }));
      return { uid: id("-u"), gid: id("-g") };
    } catch {
      // The next one.
    }
  }
  throw new Error("no account to run PostgreSQL with: neither postgres nor nobody exists");
}

/** @returns why there is no server to test with, or undefined. */
export const postgresMissing = (): string | undefined =>
  programs() ? undefined : `no PostgreSQL >= 13 below ${INSTALLED}; apt-get install postgresql`;

export interface PostgresServer {
  /** Makes an empty database. @returns its connection string. */
  database(): Promise<string>;
  /** Copies a database that nobody is connected to. @returns the copy's connection string. */
  copy(url: string): Promise<string>;
  /** Stops the server at once and removes everything. */
  stop(): Promise<void>;
  /** As a crash would: no checkpoint; `start` again recovers. */
  kill(): Promise<void>;
  start(): Promise<void>;
}

export interface PostgresOptions {
  /** Commits reach the disk, for figures. Tests lose no process's work, and need not survive a power cut. */
  readonly durable?: boolean;
  /** Also on a port of loopback, by name and TLS alone: `database()` gives connection strings for it then. */
  readonly tls?: { readonly certPem: string; readonly keyPem: string; readonly port: number };
}

export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresServer> {
  const bin = programs();
  if (!bin) throw new Error(postgresMissing());
  const user = account();
  const home = mkdtempSync(join(tmpdir(), "sf-pg-"));
  const data = join(home, "data");
  mkdirSync(data);
  chmodSync(data, 0o700);
  if (user) for (const path of [home, data]) chownSync(path, user.uid, user.gid);
  const run = { ...user, cwd: home, env: { PATH: "/usr/bin:/bin", LC_ALL: "C" } };
  execFileSync(
    join(bin, "initdb"),
    ["-D", data, "-U", "sealflow", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions"],
    { ...run, stdio: ["ignore", "ignore", "pipe"] },
  );
  const socketOf = (name: string): string => `postgres://sealflow@/${name}?host=${encodeURIComponent(home)}`;
  const { tls } = options;
  const urlOf = (name: string): string => (tls ? `postgres://sealflow@localhost:${tls.port}/${name}` : socketOf(name));
  const settings = [
    `listen_addresses=${tls ? "127.0.0.1" : ""}`,
    `unix_socket_directories=${home}`,
    "logging_collector=off",
  ];
  if (tls) {
    settings.push("ssl=on", `port=${tls.port}`);
    for (const [file, text] of [
      ["server.crt", tls.certPem],
      ["server.key", tls.keyPem],
      ["pg_hba.conf", "local all all trust\nhostnossl all all all reject\nhost all all 127.0.0.1/32 trust\n"],
    ] as const) {
      writeFileSync(join(data, file), text, { mode: 0o600 });
      if (user) chownSync(join(data, file), user.uid, user.gid);
    }
  }
  if (!options.durable) settings.push("fsync=off", "full_page_writes=off");

  let server: ReturnType<typeof spawn> | undefined;
  async function start(): Promise<void> {
    const args = ["-D", data, ...settings.flatMap((s) => ["-c", s])];
    const child = spawn(join(bin as string, "postgres"), args, { ...run, stdio: ["ignore", "ignore", "pipe"] });
    server = child;
    let said = "";
    child.stderr?.on("data", (chunk) => {
      said = (said + chunk).slice(-2000);
    });
    for (const until = Date.now() + 30_000; ; await sleep(50)) {
      if (child.exitCode !== null) throw new Error(`PostgreSQL ended with code ${child.exitCode}: ${said}`);
      try {
        await admin("select 1");
        return;
      } catch (error) {
        if (Date.now() > until) throw error;
      }
    }
  }
  async function end(signal: NodeJS.Signals): Promise<void> {
    const child = server;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill(signal);
    await ended;
  }
  async function admin(text: string): Promise<void> {
    const client = new Client({ connectionString: `${socketOf("postgres")}${tls ? `&port=${tls.port}` : ""}` });
    await client.connect();
    try {
      await client.query(text);
    } finally {
      await client.end();
    }
  }

  try {
    await start();
  } catch (error) {
    await end("SIGQUIT");
    rmSync(home, { recursive: true, force: true });
    throw error;
  }
  return {
    start,
    // SIGQUIT: the children are told too. After SIGKILL they would outlive their parent for a moment.
    kill: () => end("SIGQUIT"),
    async database() {
      const name = `t${randomBytes(6).toString("hex")}`;
      await admin(`create database ${name} template template0`);
      return urlOf(name);
    },
    async copy(url) {
      const name = `t${randomBytes(6).toString("hex")}`;
      await admin(`create database ${name} template ${/(t[0-9a-f]{12})\?/.exec(url)?.[1]}`);
      return urlOf(name);
    },
    async stop() {
      await end("SIGQUIT");
      rmSync(home, { recursive: true, force: true });
    },
  };
}

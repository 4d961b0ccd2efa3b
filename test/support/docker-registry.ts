/**
 * Debian's docker-registry (the distribution project's server) of the test's own: a port of this machine, a new folder.
 * Where it is not installed, `registryMissing()` says so and the suites are skipped.
 */
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort } from "./free-port";

const PROGRAM = "docker-registry";

/** @returns why there is no registry to test with, or undefined. */
export function registryMissing(): string | undefined {
  try {
    execFileSync(PROGRAM, ["--version"], { stdio: "ignore" });
    return undefined;
  } catch {
    return "no docker-registry; apt-get install docker-registry";
  }
}

export interface RegistryServer {
  /** `127.0.0.1:<port>`. */
  readonly host: string;
  /** Folder of its blobs. */
  readonly storage: string;
  /** Requests that it has answered, as `METHOD /path`. */
  requests(): string[];
  stop(): Promise<void>;
}

export interface RegistryServerOptions {
  /** Lines of an htpasswd file with bcrypt hashes; default: everybody may do everything. */
  readonly htpasswd?: string;
}

export async function startRegistry(options: RegistryServerOptions = {}): Promise<RegistryServer> {
  const home = mkdtempSync(join(tmpdir(), "sf-registry-"));
  const storage = join(home, "storage");
  const port = await freePort();
  const auth =
    options.htpasswd === undefined ? {} : { auth: { htpasswd: { realm: "test", path: join(home, "users") } } };
  if (options.htpasswd !== undefined) writeFileSync(join(home, "users"), options.htpasswd, { mode: 0o600 });
  // YAML is a superset of JSON.
  const config = {
    version: 0.1,
    log: { level: "error", accesslog: { disabled: false } },
    storage: { filesystem: { rootdirectory: storage }, delete: { enabled: true } },
    http: { addr: `127.0.0.1:${port}`, secret: "one for all requests of this server" },
    ...auth,
  };
  writeFileSync(join(home, "config.yml"), JSON.stringify(config));
  const child = spawn(PROGRAM, ["serve", join(home, "config.yml")], { stdio: ["ignore", "pipe", "pipe"], cwd: home });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk) => {
      said += chunk;
    });
  }
  for (const until = Date.now() + 20_000; ; await sleep(50)) {
    if (child.exitCode !== null) throw new Error(`docker-registry ended with code ${child.exitCode}: ${said}`);
    const up = await fetch(`http://127.0.0.1:${port}/`).catch(() => undefined);
    if (up) break;
    if (Date.now() > until) throw new Error(`docker-registry does not answer: ${said}`);
  }
  return {
    host: `127.0.0.1:${port}`,
    storage,
    requests: () => [...said.matchAll(/"(GET|HEAD|POST|PUT|PATCH|DELETE) (\S+) HTTP/g)].map(([, m, p]) => `${m} ${p}`),
    async stop() {
      const ended = new Promise((resolve) => child.once("exit", resolve));
      if (child.exitCode === null) {
        child.kill("SIGKILL");
        await ended;
      }
      rmSync(home, { recursive: true, force: true });
    },
  };
}

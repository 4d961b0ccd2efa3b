/**
 * 64 clients take a pipeline's steps from claim to commit; then the same statements go to a copy of the database as it
 * was before, each transaction by itself and with nothing around it: load.js <server program> <sqlite|postgres> <steps>. Prints rates and latencies.
 */
import { spawn } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { Agent, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { deserialize } from "node:v8";
import { Client } from "pg";
import { publicKey } from "../../protocol/crypto";
import { verifyJws } from "../../protocol/jws";
import { claimAnswer, commitAnswer } from "../../protocol/messages";
import { createWorld, type World } from "../../test/support/ledger-world";
import { startPostgres } from "../../test/support/postgres";
import type { Statement } from "./server";

const CLIENTS = 64;
/** Shards of the one step: the most that a step may have. */
const SHARDS = 1000;

interface Served {
  readonly port: number;
  readonly key: string;
  stop(): Promise<void>;
}

async function serve(program: string, dir: string, url: string, trace: string): Promise<Served> {
  const child = spawn(process.execPath, [program, dir, url, trace], { stdio: ["pipe", "pipe", "inherit"] });
  const [line] = (await new Promise<string[]>((resolve, reject) => {
    createInterface(child.stdout).once("line", (text) => resolve([text]));
    child.once("exit", (code) => reject(new Error(`ledger ended with code ${code}`)));
  })) as [string];
  return {
    ...(JSON.parse(line) as { port: number; key: string }),
    stop: () =>
      new Promise((resolve) => {
        child.removeAllListeners("exit").once("exit", () => resolve());
        child.stdin.end();
      }),
  };
}

function httpClient(port: number) {
  const agent = new Agent({ keepAlive: true, maxSockets: CLIENTS });
  const send = (method: string, path: string, body: string | Uint8Array, type: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const headers = { "content-type": type, "content-length": Buffer.byteLength(body) };
      const sent = request({ port, host: "127.0.0.1", method, path, agent, headers }, (res) => {
        let text = "";
        res.setEncoding("utf8").on("data", (chunk) => {
          text += chunk;
        });
        res.on("end", () =>
          (res.statusCode ?? 500) < 300 ? resolve(text) : reject(new Error(`${path}: ${res.statusCode} ${text}`)),
        );
      });
      sent.on("error", reject);
      sent.end(body);
    });
  return {
    post: async (path: string, token: string) =>
      JSON.parse(await send("POST", path, JSON.stringify({ token }), "application/json")) as { token: string },
    put: (url: string, bytes: Uint8Array) => {
      const { pathname, search } = new URL(url);
      return send("PUT", pathname + search, bytes, "application/octet-stream");
    },
    close: () => agent.destroy(),
  };
}

async function load(served: Served, world: World, steps: number) {
  const http = httpClient(served.port);
  const key = publicKey("Ed25519", served.key);
  const latencies: number[] = [];
  const ends: number[] = [];
  const timed = async <T>(work: () => Promise<T>): Promise<T> => {
    const started = performance.now();
    const result = await work();
    latencies.push(performance.now() - started);
    return result;
  };
  const step = async (): Promise<void> => {
    const { token } = await world.claim("work");
    const answer = await timed(() => http.post("/v1/claims", token));
    const { go } = await verifyJws("sealflow-claim-answer+jwt", answer.token, key, claimAnswer);
    if (!go) throw new Error("a claim was not granted");
    await timed(() => http.put(go.log.url, new Uint8Array(0)));
    const ended = await timed(async () => http.post("/v1/commits", await world.commit("work", go, {})));
    const { status } = await verifyJws("sealflow-commit-answer+jwt", ended.token, key, commitAnswer);
    if (status !== "committed") throw new Error(`a commit was ${status}`);
    ends.push(performance.now());
  };
  const started = performance.now();
  let taken = 0;
  await Promise.all(
    Array.from({ length: CLIENTS }, async () => {
      while (taken < steps) {
        taken++;
        await step();
      }
    }),
  );
  http.close();
  latencies.sort((a, b) => a - b);
  const at = (share: number) => latencies[Math.floor(latencies.length * share)] as number;
  const tenth = Math.floor(steps / 10);
  const rate = (from: number, to: number) =>
    ((to - from) * 1000) / ((ends[to - 1] as number) - (from === 0 ? started : (ends[from - 1] as number)));
  return {
    perSecond: rate(0, steps),
    p50: at(0.5),
    p99: at(0.99),
    first: rate(0, tenth),
    last: rate(steps - tenth, steps),
  };
}

/** Each transaction by itself, as they were asked for: the ledger lets those that meet share one (database/group.ts). */
function apart(statements: readonly Statement[]): Statement[] {
  const made: Statement[] = [];
  const states = new Map<number, { opening: Statement[]; shared: boolean; undone: boolean }>();
  for (const s of statements) {
    const [n, text] = s;
    const state = states.get(n) ?? { opening: [], shared: false, undone: false };
    states.set(n, state);
    const is = (...starts: string[]) => starts.some((start) => text.startsWith(start));
    if (is("begin")) state.opening = [s];
    else if (is("select pg_advisory_xact_lock")) state.opening.push(s);
    else if (is("savepoint")) {
      state.shared = true;
      made.push(...state.opening);
    } else if (is("release savepoint")) {
      if (!state.undone) made.push([n, "commit", []]);
      state.undone = false;
    } else if (is("rollback to")) {
      state.undone = true;
      made.push([n, "rollback", []]);
    } else if (is("commit") && state.shared) {
      Object.assign(state, { opening: [], shared: false });
    } else {
      if (!state.shared) made.push(...state.opening.splice(0));
      made.push(s);
    }
  }
  return made;
}

function replaySqlite(path: string, statements: Statement[]): number {
  const connections = new Map<number, { db: DatabaseSync; prepared: Map<string, StatementSync> }>();
  const on = (n: number) => {
    let found = connections.get(n);
    if (!found) {
      const db = new DatabaseSync(path);
      db.exec(
        "pragma journal_mode = wal; pragma synchronous = full; pragma foreign_keys = on; pragma secure_delete = on",
      );
      found = { db, prepared: new Map() };
      connections.set(n, found);
    }
    return found;
  };
  for (const [n] of statements) on(n);
  const started = performance.now();
  for (const [n, text, values] of statements) {
    const { db, prepared } = on(n);
    if (/^(begin|commit|rollback|pragma)/i.test(text)) {
      db.exec(text);
      continue;
    }
    const statement = prepared.get(text) ?? db.prepare(text);
    prepared.set(text, statement);
    if (statement.columns().length > 0) statement.all(...(values as never[]));
    else statement.run(...(values as never[]));
  }
  const seconds = (performance.now() - started) / 1000;
  for (const { db } of connections.values()) db.close();
  return seconds;
}

/** Each connection's statements in their order, all connections at once, as many as the ledger had. */
async function replayPostgres(url: string, statements: Statement[]): Promise<number> {
  const lists = new Map<number, Statement[]>();
  for (const s of statements) {
    const list = lists.get(s[0]);
    if (list) list.push(s);
    else lists.set(s[0], [s]);
  }
  const clients = new Map<number, Client>();
  for (const n of lists.keys()) {
    const client = new Client({ connectionString: url });
    await client.connect();
    clients.set(n, client);
  }
  const started = performance.now();
  await Promise.all(
    [...lists].map(async ([n, list]) => {
      const names = new Map<string, string>();
      for (const [, text, values] of list) {
        const name = values.length === 0 ? undefined : (names.get(text) ?? `s${names.size}`);
        if (name !== undefined) names.set(text, name);
        await (clients.get(n) as Client).query({ text, values: [...values], ...(name === undefined ? {} : { name }) });
      }
    }),
  );
  const seconds = (performance.now() - started) / 1000;
  await Promise.all([...clients.values()].map((c) => c.end()));
  return seconds;
}

async function main([program = "", engine = "", count = ""]: string[]): Promise<void> {
  const steps = Number(count);
  const dir = mkdtempSync(join(tmpdir(), "sf-ledger-bench-"));
  const server = engine === "postgres" ? await startPostgres({ durable: true }) : undefined;
  try {
    const url = (await server?.database()) ?? "";
    const trace = join(dir, "trace");
    const home = join(dir, "ledger");
    const first = await serve(program, home, url, trace);
    const world = await createWorld({ ledgerKey: first.key, steps: { work: { shards: SHARDS } } });
    const http = httpClient(first.port);
    await http.post("/v1/pipelines", world.descriptor);
    for (let opened = 0; opened < steps; opened += SHARDS)
      await http.post("/v1/runs", (await world.runRequest()).token);
    http.close();
    await first.stop();

    const copy = engine === "postgres" ? ((await server?.copy(url)) ?? "") : join(dir, "copy.db");
    if (engine !== "postgres") copyFileSync(join(home, "ledger.db"), copy);
    const second = await serve(program, home, url, trace);
    const served = await load(second, world, steps);
    await second.stop();
    const statements = apart(deserialize(readFileSync(trace)) as Statement[]);
    const seconds = engine === "postgres" ? await replayPostgres(copy, statements) : replaySqlite(copy, statements);
    process.stdout.write(JSON.stringify({ ...served, direct: steps / seconds, statements: statements.length / steps }));
  } finally {
    await server?.stop();
    rmSync(dir, { recursive: true, force: true });
  }
}

main(process.argv.slice(2)).then(
  () => process.exit(0),
  (error: Error) => {
    process.stderr.write(`${error.stack}\n`);
    process.exit(1);
  },
);

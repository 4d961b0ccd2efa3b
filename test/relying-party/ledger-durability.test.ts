/** Several ledgers on one database, and ledgers that are killed. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { publicKey } from "../../protocol/crypto";
import { verifyJws } from "../../protocol/jws";
import { verifyConsistency } from "../../protocol/merkle";
import { type Head, head } from "../../protocol/messages";
import { createLedger, type Ledger } from "../../relying-party/ledger";
import { caller, type Handler } from "../support/ledger-caller";
import { createWorld, type WorldPlan } from "../support/ledger-world";

let dir: string;
const ledgers: Ledger[] = [];
const processes: ChildProcess[] = [];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "durable-"));
});
afterEach(async () => {
  for (const child of processes.splice(0)) child.kill("SIGKILL");
  for (const ledger of ledgers.splice(0)) await ledger.close();
  rmSync(dir, { recursive: true, force: true });
});

const open = async (): Promise<Ledger> => {
  const ledger = await createLedger({ dir, publicUrl: "http://ledger.test", sweepMs: 0 });
  ledgers.push(ledger);
  return ledger;
};

/** A ledger in a process of its own, called over HTTP. */
async function spawned(): Promise<{ child: ChildProcess; handle: Handler["handle"] }> {
  const loader = join(__dirname, "../support/typescript.js");
  const child = spawn(process.execPath, ["--require", loader, join(__dirname, "../support/ledger-process.ts"), dir], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  processes.push(child);
  const [line] = (await once(child.stdout as NodeJS.ReadableStream, "data")) as [Buffer];
  const base = `http://127.0.0.1:${Number(line.toString())}`;
  const handle = async (req: Request): Promise<Response> => {
    const { pathname, search } = new URL(req.url);
    const body = req.method === "GET" ? {} : { body: await req.arrayBuffer() };
    return fetch(base + pathname + search, { method: req.method, headers: req.headers, ...body });
  };
  return { child, handle };
}

const PLAN: Omit<WorldPlan, "ledgerKey"> = {
  steps: {
    map: { outputs: { part: "json" }, shards: 4, retryLimit: 20 },
    join: { inputs: { parts: { from: "map.part", collect: true } }, outputs: { all: "json" } },
  },
};

const headOf = async (ledger: Handler, path = "/v1/key"): Promise<Head & { consistency?: string[] }> => {
  const { body } = await caller(ledger).get(path);
  const verified = await verifyJws("sealflow-head+jwt", body.head, publicKey("Ed25519", ledger.ledgerKey), head);
  return { ...verified, consistency: body.consistency };
};

test("two that start at once on an empty folder agree on key and schema", async () => {
  const [a, b] = await Promise.all([open(), open()]);
  expect(a.ledgerKey).toBe(b.ledgerKey);
  const w = await createWorld({ ...PLAN, ledgerKey: a.ledgerKey });
  await caller(a).deploy(w);
  await caller(b).openRun(w);
});

test("of twins that commit at two ledgers at the same time exactly one is counted", async () => {
  const [a, b] = await Promise.all([open(), open()]);
  const [one, two] = [caller(a), caller(b)];
  const w = await createWorld({
    ledgerKey: a.ledgerKey,
    steps: { only: { outputs: { data: "json" }, retryLimit: 9 } },
  });
  await one.deploy(w);
  for (let round = 0; round < 5; round++) {
    const run = await one.openRun(w);
    const twins = await Promise.all([one.go(w, "only", run), two.go(w, "only", run), one.go(w, "only", run)]);
    expect(twins.map((t) => t.attempt).sort()).toEqual([1, 2, 3]);
    const answers = await Promise.all(twins.map((go, i) => (i % 2 ? two : one).finish(w, "only", go)));
    expect(answers.map((answer) => answer.status).sort()).toEqual(["committed", "superseded", "superseded"]);
  }
});

test("claims at two ledgers get different shards, and the log stays one log", async () => {
  const [a, b] = await Promise.all([open(), open()]);
  const calls = [caller(a), caller(b)] as const;
  const w = await createWorld({ ...PLAN, ledgerKey: a.ledgerKey });
  await calls[0].deploy(w);
  const before = await headOf(a);
  const run = await calls[1].openRun(w);
  const shards = await Promise.all([0, 1, 2, 3].map((i) => calls[i % 2 ? 1 : 0].go(w, "map", run)));
  expect(shards.map((go) => go.shard).sort()).toEqual([0, 1, 2, 3]);
  const done = await Promise.all(shards.map((go, i) => calls[i % 2 ? 0 : 1].finish(w, "map", go)));
  expect(done.every((answer) => answer.status === "committed")).toBe(true);
  expect(await calls[0].run(w, "join", run)).toMatchObject({ status: "committed" });
  expect(await calls[1].status(w, run)).toMatchObject({ state: "succeeded" });
  const after = await headOf(b, `/v1/heads?old=${before.size}`);
  verifyConsistency(before, after, after.consistency ?? []);
  expect(after.size).toBe(before.size + 1 + 2 * 5);
});

test("a killed ledger keeps every answered commit, and the log extends every head it signed", async () => {
  const { ledgerKey } = await open();
  await ledgers.pop()?.close();
  const w = await createWorld({ ...PLAN, ledgerKey });
  const heads: Head[] = [];
  let run = "";
  const committed: string[] = [];

  for (let round = 0; round < 4; round++) {
    const { child, handle } = await spawned();
    const at = { handle, ledgerKey };
    const call = caller(at);
    for (const old of heads) {
      const now = await headOf(at, `/v1/heads?old=${old.size}`);
      verifyConsistency(old, now, now.consistency ?? []);
    }
    if (round === 0) {
      await call.deploy(w);
      run = await call.openRun(w);
    }
    // Two shards are answered, then the process dies in the middle of the work of others.
    const go = await call.go(w, "map", run).catch(() => undefined);
    if (go) {
      const answer = await call.finish(w, "map", go);
      expect(answer.status).toBe("committed");
      committed.push(`${go.shard}/${go.attempt}`);
      heads.push(await headOf(at));
    }
    const inFlight = [0, 1, 2].map(async () => call.finish(w, "map", await call.go(w, "map", run)));
    await new Promise((resolve) => setTimeout(resolve, round * 7));
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await Promise.allSettled([...inFlight, gone]);
  }

  const last = await open();
  const call = caller(last);
  const status = await call.status(w, run);
  const now = status.steps.map.shards
    .filter((s: { state: string }) => s.state === "committed")
    .map((s: { shard: number; attempt: number }) => `${s.shard}/${s.attempt}`);
  expect(now).toEqual(expect.arrayContaining(committed));
  for (let open = 4 - now.length; open > 0; open--) await call.run(w, "map", run);
  expect(await call.run(w, "join", run)).toMatchObject({ status: "committed" });
  const { body } = await call.get(`/v1/runs/${run}/log`, await w.readToken());
  expect(body.commits).toHaveLength(5);
}, 60_000);

test("a key file that does not belong to the database is refused with CORRUPT", async () => {
  await open();
  await ledgers.pop()?.close();
  writeFileSync(join(dir, "ledger.key"), Buffer.alloc(32, 7).toString("base64url"), { mode: 0o600 });
  await expect(open()).rejects.toMatchObject({ code: "CORRUPT" });
});

test("a key file that others can read, or that is damaged, is refused with CORRUPT", async () => {
  for (const [text, mode] of [
    [Buffer.alloc(32).toString("base64url"), 0o644],
    ["short", 0o600],
  ] as const) {
    rmSync(join(dir, "ledger.key"), { force: true });
    writeFileSync(join(dir, "ledger.key"), text, { mode });
    await expect(open()).rejects.toMatchObject({ code: "CORRUPT" });
  }
});

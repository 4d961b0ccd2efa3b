/**
 * What a step costs the ledger from claim to commit, when its database already holds so many others:
 * growth.js <sqlite|postgres> <sizes, comma-separated>. One step after the other, without HTTP. (The first size is
 * exceeded by what is measured at it.)
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { publicKey } from "../../protocol/crypto";
import { jwsDigest, verifyJws } from "../../protocol/jws";
import { claimAnswer } from "../../protocol/messages";
import { createLedger, type Ledger } from "../../relying-party/ledger";
import { createWorld, type World } from "../../test/support/ledger-world";
import { startPostgres } from "../../test/support/postgres";
import { median } from "../support/machine";
import { fill, postgresRows, sqliteRows } from "./fill";

/** Steps that count at each size. */
const MEASURED = 150;
/** Steps before them: the first ones until the program is compiled, the others until its pages are read. */
const WARM = { first: 400, later: 30 };

export interface Grown {
  readonly steps: number;
  /** Medians of one step. CPU: of this process, where SQLite lives, too; PostgreSQL's own is not in it. */
  readonly cpuMs: number;
  readonly wallMs: number;
}

class Caller {
  cpu = 0;
  wall = 0;
  constructor(private readonly ledger: Ledger) {}

  async send(method: string, url: string, body: string): Promise<string> {
    const headers = { "content-type": method === "PUT" ? "application/octet-stream" : "application/json" };
    const before = process.cpuUsage();
    const started = performance.now();
    const response = await this.ledger.handle(new Request(url, { method, headers, body }));
    const text = await response.text();
    this.wall += performance.now() - started;
    const { user, system } = process.cpuUsage(before);
    this.cpu += (user + system) / 1000;
    if (!response.ok) throw new Error(`${url}: ${response.status} ${text}`);
    return text;
  }

  post = async (path: string, token: string): Promise<string> =>
    (JSON.parse(await this.send("POST", `http://ledger.bench${path}`, JSON.stringify({ token }))) as { token: string })
      .token;
}

async function step(ledger: Ledger, world: World, run: string): Promise<{ cpu: number; wall: number; commit: string }> {
  const caller = new Caller(ledger);
  const claim = await world.claim("work", run);
  const answered = await caller.post("/v1/claims", claim.token);
  const { go } = await verifyJws(
    "sealflow-claim-answer+jwt",
    answered,
    publicKey("Ed25519", ledger.ledgerKey),
    claimAnswer,
  );
  if (!go) throw new Error("a claim was not granted");
  await caller.send("PUT", go.log.url, "");
  const commit = await world.commit("work", go, {});
  await caller.post("/v1/commits", commit);
  return { cpu: caller.cpu, wall: caller.wall, commit };
}

async function main([engine = "", list = ""]: string[]): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), "sf-growth-"));
  const server = engine === "postgres" ? await startPostgres({ durable: true }) : undefined;
  try {
    const url = await server?.database();
    const open = () =>
      createLedger({
        dir,
        publicUrl: "http://ledger.bench",
        sweepMs: 0,
        ...(url === undefined ? {} : { postgresUrl: url }),
      });
    let ledger = await open();
    const world = await createWorld({ ledgerKey: ledger.ledgerKey, steps: { work: { shards: 1000 } } });
    const caller = () => new Caller(ledger);
    await caller().post("/v1/pipelines", world.descriptor);
    const found: Grown[] = [];
    let filled = 0;
    let commit = "";
    for (const size of list.split(",").map(Number)) {
      const { token: request, run } = await world.runRequest();
      await caller().post("/v1/runs", request);
      const missing = size - filled;
      if (missing > 0 && commit !== "") {
        await ledger.close();
        const rows = url === undefined ? sqliteRows(join(dir, "ledger.db")) : await postgresRows(url);
        const { programId = "" } = world.content.steps.work ?? {};
        const version = jwsDigest(world.descriptor);
        await fill(rows, { pipelineUid: world.pipelineUid, version, programId, request, commit }, missing);
        await rows.close();
        filled += missing;
        ledger = await open();
      }
      const all: Awaited<ReturnType<typeof step>>[] = [];
      const warm = found.length === 0 ? WARM.first : WARM.later;
      for (let i = 0; i < warm + MEASURED; i++) all.push(await step(ledger, world, run));
      commit = all[0]?.commit ?? "";
      filled += all.length;
      const measured = all.slice(warm);
      const of = (pick: (one: (typeof all)[number]) => number) => median(measured.map(pick));
      found.push({ steps: size, cpuMs: of(({ cpu }) => cpu), wallMs: of(({ wall }) => wall) });
    }
    await ledger.close();
    process.stdout.write(JSON.stringify(found));
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

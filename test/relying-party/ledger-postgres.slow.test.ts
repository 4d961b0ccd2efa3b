import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sha256hex } from "../../protocol/crypto";
import { createLedger, type Ledger } from "../../relying-party/ledger";
import { caller } from "../support/ledger-caller";
import { postgres } from "../support/ledger-engines";
import { createWorld } from "../support/ledger-world";
import { type PostgresServer, postgresMissing, startPostgres } from "../support/postgres";
import { featuresSuite } from "./suites/features";
import { ledgerSuite } from "./suites/ledger";

const missing = postgresMissing();
let server: PostgresServer;
let dir: string;
const opened: Ledger[] = [];

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "ledger-pg-"));
  if (!missing) server = await startPostgres();
}, 60_000);
afterEach(async () => {
  await Promise.all(opened.splice(0).map((l) => l.close()));
});
afterAll(async () => {
  await server?.stop();
  rmSync(dir, { recursive: true, force: true });
});

/** One process of a ledger; several have the same `name` and `url`. */
async function replica(url: string): Promise<Ledger> {
  const ledger = await createLedger({
    dir: join(dir, sha256hex(url)),
    publicUrl: "https://ledger.test",
    sweepMs: 0,
    postgresUrl: url,
    log: () => {},
  });
  opened.push(ledger);
  return ledger;
}

const ONE = { only: { outputs: { data: "json" as const }, retryLimit: 100, shards: 8 } };

(missing ? describe.skip : describe)(`on PostgreSQL${missing ? ` (${missing})` : ""}`, () => {
  ledgerSuite(postgres(() => server.database()));
  featuresSuite(postgres(() => server.database()));

  describe("several processes of one ledger", () => {
    it("that start at once make the schema once and have one key", async () => {
      const url = await server.database();
      const ledgers = await Promise.all(Array.from({ length: 4 }, () => replica(url)));
      expect(new Set(ledgers.map((l) => l.ledgerKey)).size).toBe(1);
    });

    it("never give one attempt twice and count each shard once", async () => {
      const url = await server.database();
      const callers = (await Promise.all([1, 2, 3].map(() => replica(url)))).map(caller);
      const at = (i: number) => callers[i % callers.length] as ReturnType<typeof caller>;
      const world = await createWorld({ ledgerKey: (opened[0] as Ledger).ledgerKey, steps: ONE });
      await at(0).deploy(world);
      const run = await at(1).openRun(world);
      // 24 guests at once for 8 shards: 8 first attempts and 16 twins.
      const gos = await Promise.all(Array.from({ length: 24 }, (_, i) => at(i).go(world, "only", run)));
      expect(new Set(gos.map((go) => `${go.shard}/${go.attempt}`)).size).toBe(24);
      const ends = await Promise.all(gos.map((go, i) => at(i + 1).finish(world, "only", go)));
      expect(ends.filter((e) => e.status === "committed")).toHaveLength(8);
      expect(ends.filter((e) => e.status === "superseded")).toHaveLength(16);
      expect(await at(2).status(world, run)).toMatchObject({ state: "succeeded" });
    });
  });

  describe("a database server", () => {
    it("that is not there is BUSY at start", async () => {
      await expect(replica("postgres://nobody@/none?host=%2Fnonexistent")).rejects.toMatchObject({ code: "BUSY" });
    });

    it("that dies answers BUSY until it is back, and what was committed is still there", async () => {
      const url = await server.database();
      const call = caller(await replica(url));
      const world = await createWorld({ ledgerKey: (opened[0] as Ledger).ledgerKey, steps: ONE });
      await call.deploy(world);
      const run = await call.openRun(world);
      await call.run(world, "only", run);
      await server.kill();
      try {
        expect(await call.post("/v1/claims", (await world.claim("only", run)).token)).toMatchObject({
          status: 503,
          code: "BUSY",
        });
      } finally {
        await server.start();
      }
      const status = await call.status(world, run);
      expect(status.steps.only.shards.filter((s: { state: string }) => s.state === "committed")).toHaveLength(1);
      expect(await call.run(world, "only", run)).toMatchObject({ status: "committed" });
    });
  });
});

/** Transactions that share a commit: each fails alone, and none is answered before it is on the disk. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { sql } from "kysely";
import { type Database, openSqlite, type Tx } from "../../relying-party/ledger/database/open";
import { LedgerError } from "../../relying-party/ledger/errors";

let dir: string;
let db: Database;
beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), "ledger-group-"));
  db = await openSqlite(dir);
});
afterEach(async () => {
  await db.close();
  rmSync(dir, { recursive: true, force: true });
});

const add = (tx: Tx, name: string) => tx.insertInto("objects").values({ name, digest: "d", size: 1 }).execute();

/** As another process sees them. */
function names(): string[] {
  const other = new DatabaseSync(join(dir, "ledger.db"), { readOnly: true });
  try {
    return (other.prepare("select name from objects order by name").all() as { name: string }[]).map((r) => r.name);
  } finally {
    other.close();
  }
}

/** All that come together share one transaction, the first one too. */
const meeting = (...works: ((tx: Tx) => Promise<unknown>)[]) =>
  Promise.allSettled([db.write((tx) => add(tx, "0")), ...works.map((work) => db.write(work))]);

it("one that fails takes its own rows along, and nobody else's", async () => {
  const [, a, b, c] = await meeting(
    (tx) => add(tx, "a"),
    async (tx) => {
      await add(tx, "b");
      throw new Error("not this one");
    },
    (tx) => add(tx, "c"),
  );
  expect([a?.status, b?.status, c?.status]).toEqual(["fulfilled", "rejected", "fulfilled"]);
  expect(b).toMatchObject({ reason: { message: "not this one" } });
  expect(names()).toEqual(["0", "a", "c"]);
});

it("one that breaks a rule of the database fails alone as well", async () => {
  const [, a, b] = await meeting(
    (tx) => add(tx, "0"),
    (tx) => add(tx, "b"),
  );
  expect([a?.status, b?.status]).toEqual(["rejected", "fulfilled"]);
  expect(names()).toEqual(["0", "b"]);
});

it("what is answered is on the disk, and what it saw was what those before it had done", async () => {
  const seen: string[][] = [];
  const counted = async (tx: Tx, name: string) => {
    await add(tx, name);
    return (await tx.selectFrom("objects").select("name").execute()).length;
  };
  const answers = await Promise.all(
    ["a", "b", "c", "d"].map((name) =>
      db
        .write((tx) => counted(tx, name))
        .then((count) => {
          seen.push(names());
          return count;
        }),
    ),
  );
  expect(answers).toEqual([1, 2, 3, 4]);
  for (const [i, name] of ["a", "b", "c", "d"].entries()) expect(seen[i]).toContain(name);
});

it("a transaction that the database gave up answers none of them", async () => {
  const ends = await meeting(
    (tx) => add(tx, "a"),
    async (tx) => {
      // As SQLite does by itself when the disk is full.
      await sql`rollback`.execute(tx);
      throw new Error("the disk is full");
    },
  );
  expect(ends).toHaveLength(3);
  for (const end of ends) expect(end).toMatchObject({ status: "rejected", reason: { message: "the disk is full" } });
  expect(names()).toEqual([]);
  await db.write((tx) => add(tx, "later"));
  expect(names()).toEqual(["later"]);
});

it("a refusal goes to the caller it is for, also when it cannot be undone alone", async () => {
  const [first, refused, last] = await meeting(
    async (tx) => {
      await sql`rollback`.execute(tx);
      throw new LedgerError("RUN_CLOSED", "this run is closed");
    },
    (tx) => add(tx, "b"),
  );
  expect(refused).toMatchObject({ reason: { code: "RUN_CLOSED" } });
  for (const end of [first, last]) {
    expect(end).toMatchObject({ status: "rejected", reason: { message: expect.stringMatching(/savepoint/) } });
  }
  expect(names()).toEqual([]);
});

/** Queries whose text is made once. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Database, openSqlite } from "../../relying-party/ledger/database/open";
import { change, only, query } from "../../relying-party/ledger/database/query";

let dir: string;
let db: Database;
beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), "ledger-query-"));
  db = await openSqlite(dir);
});
afterEach(async () => {
  await db.close();
  rmSync(dir, { recursive: true, force: true });
});

interface Stored {
  readonly name: string;
  readonly digest: string;
}
const insert = change((q, { size }: { size: number }, rows: readonly Stored[]) =>
  q.insertInto("objects").values(rows.map(({ name, digest }) => ({ name, digest, size }))),
);
const bySize = query((q, { size }: { size: number }) =>
  q.selectFrom("objects").select(["name", "digest"]).where("size", "=", size).orderBy("name"),
);
const store = (size: number, ...rows: Stored[]) => db.write((tx) => insert(tx, { size }, rows));
const a = { name: "a", digest: "1" };
const b = { name: "b", digest: "2" };
const c = { name: "c", digest: "'; drop table objects; --" };

describe("a query whose text is made once", () => {
  it("asks with the values of each call, in several rows and in one", async () => {
    expect(await store(1, a, b)).toBe(2);
    expect(await store(2, c)).toBe(1);
    expect(await db.read(async (tx) => [await bySize(tx, { size: 1 }), await bySize(tx, { size: 2 })])).toEqual([
      [a, b],
      [c],
    ]);
    expect(await db.read((tx) => bySize(tx, { size: 3 }))).toEqual([]);
  });

  it("is built once for each database and number of rows, and never with a value", async () => {
    const seen: unknown[] = [];
    const built = query((q, values: { name: string }) => {
      seen.push(values.name);
      return q.selectFrom("objects").select("size").where("name", "=", values.name);
    });
    await store(1, a);
    for (const name of ["a", "b", "a"]) await db.read((tx) => built(tx, { name }));
    const other = await openSqlite(mkdtempSync(join(dir, "other-")));
    await other.read((tx) => built(tx, { name: "a" }));
    await other.close();
    expect(seen).toHaveLength(2);
    expect(seen).not.toContain("a");
  });

  it("cannot be built by looking at a value", async () => {
    const looks = query((q, { size }: { size: number }) =>
      q
        .selectFrom("objects")
        .select("name")
        .limit(size + 1),
    );
    await expect(db.read((tx) => looks(tx, { size: 1 }))).rejects.toThrow("size is not known when its query is made");
  });

  it("says what is missing when a row must be there", () => {
    expect(only([1, 2], "row")).toBe(1);
    expect(() => only([], "row 7")).toThrow("row 7");
  });
});

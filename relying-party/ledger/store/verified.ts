/** Objects that were read once by the ledger: digest and size by name, shared by all its processes. */
import { createHash } from "node:crypto";
import type { Database, Tx } from "../database/open";
import { change, query } from "../database/query";
import type { Tables } from "../database/tables";
import { storeAnswer } from "./answer";
import type { FoundObject, StoredObject } from "./types";

/** Larger objects of runs are not read: a commit would wait for it, and whoever opens them compares the digest. */
const MAX_READ = 64 * 1024 * 1024;

const objectRow = query((db, { name }: { name: string }) =>
  db.selectFrom("objects").select(["digest", "size"]).where("name", "=", name),
);
export const storedObject = async (tx: Tx, name: string): Promise<StoredObject | undefined> =>
  (await objectRow(tx, { name }))[0];
export const rememberObject = change((db, { name, digest, size }: Tables["objects"]) =>
  db
    .insertInto("objects")
    .values({ name, digest, size })
    .onConflict((c) => c.column("name").doUpdateSet({ digest, size })),
);

export class VerifiedObjects {
  constructor(private readonly db: Database) {}

  /**
   * What is known of an object that the store says is there. Datasets are always read once: another owner may have
   * put other bytes under their name.
   * @param read its bytes.
   */
  async find(name: string, size: number, read: () => Promise<AsyncIterable<Uint8Array>>): Promise<FoundObject> {
    if (!Number.isSafeInteger(size) || size < 0) throw storeAnswer(`object ${name} has no size`);
    const row = await this.db.read((tx) => storedObject(tx, name));
    if (row && row.size === size) return row;
    if (size > MAX_READ && !name.startsWith("datasets/")) return { size };
    const hash = createHash("sha256");
    let bytes = 0;
    for await (const chunk of await read()) {
      bytes += chunk.length;
      if (bytes > size) throw storeAnswer(`object ${name} is longer than the ${size} bytes that it was said to have`);
      hash.update(chunk);
    }
    // What was read counts, not what was said.
    const found = { digest: hash.digest("hex"), size: bytes };
    await this.db.write((tx) => rememberObject(tx, { name, ...found }));
    return found;
  }

  async forget(name: string): Promise<void> {
    await this.db.write((tx) => tx.deleteFrom("objects").where("name", "=", name).execute());
  }
}

import { chmodSync, closeSync, mkdirSync, openSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

/** Trustee's storage namespaces, and `meta` for the token key. */
export type Namespace = "repository" | "kbs" | "attestation_service_policy" | "reference_value" | "meta";

/** One durable key-value table. A write that returned survives kill -9. */
export interface Store {
  get(namespace: Namespace, key: string): Uint8Array | undefined;
  set(namespace: Namespace, key: string, value: Uint8Array): void;
  /** @returns false when there was none. */
  delete(namespace: Namespace, key: string): boolean;
  close(): void;
}

/** @param dir created with mode 0700; the database has mode 0600. */
export function openStore(dir: string): Store {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const path = join(dir, "kbs.db");
  // Made before SQLite opens it, so that it never exists with another mode; its journal files take the same.
  closeSync(openSync(path, "a", 0o600));
  chmodSync(path, 0o600);
  const db = new DatabaseSync(path, { timeout: 5000 });
  db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
  // Deleted keys are overwritten, not left in free pages.
  db.exec("PRAGMA secure_delete = ON");
  db.exec(
    "CREATE TABLE IF NOT EXISTS kv (namespace TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (namespace, key)) STRICT",
  );
  const select = db.prepare("SELECT value FROM kv WHERE namespace = ? AND key = ?");
  const upsert = db.prepare(
    "INSERT INTO kv (namespace, key, value) VALUES (?, ?, ?) ON CONFLICT (namespace, key) DO UPDATE SET value = excluded.value",
  );
  const remove = db.prepare("DELETE FROM kv WHERE namespace = ? AND key = ?");
  return {
    get: (namespace, key) => (select.get(namespace, key) as { value: Uint8Array } | undefined)?.value,
    set: (namespace, key, value) => void upsert.run(namespace, key, value),
    delete: (namespace, key) => remove.run(namespace, key).changes > 0,
    close: () => db.close(),
  };
}

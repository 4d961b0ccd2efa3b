/** Files of the state folder: where they are, and how they are written. */
import { randomBytes } from "node:crypto";
import { chmodSync, closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import { join } from "node:path";

export interface DevPaths {
  readonly home: string;
  /** Public `Connection`. */
  readonly connection: string;
  readonly dev: string;
  /** Private JWK that signs admin tokens. */
  readonly adminKey: string;
  readonly ports: string;
  readonly lock: string;
  readonly holder: string;
  readonly log: string;
  readonly kbs: string;
  readonly ledger: string;
  readonly objects: string;
  /** URL of another object store, if there is one; no secret. */
  readonly store: string;
  readonly tls: string;
}

/** @param home such as `.sealflow`. */
export function devPaths(home: string): DevPaths {
  const dev = join(home, "dev");
  return {
    home,
    connection: join(home, "connection.json"),
    dev,
    adminKey: join(dev, "admin-key.jwk"),
    ports: join(dev, "ports.json"),
    lock: join(dev, "lock.db"),
    holder: join(dev, "holder.json"),
    log: join(dev, "log"),
    kbs: join(dev, "kbs"),
    ledger: join(dev, "ledger"),
    objects: join(dev, "objects"),
    store: join(dev, "store"),
    tls: join(dev, "tls"),
  };
}

/** Only this user may enter, also when it was made with other rights. */
export function privateDir(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  chmodSync(path, 0o700);
}

/** Whole or not at all, mode 0600. */
export function writePrivate(path: string, text: string): void {
  const temporary = `${path}.${randomBytes(6).toString("hex")}`;
  const file = openSync(temporary, "wx", 0o600);
  try {
    writeSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(temporary, path);
}

/** undefined: there is none. */
export function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

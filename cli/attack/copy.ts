/** A copy of a project's state folder for attackers: databases consistent although the services may be at work. */
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { backup, DatabaseSync } from "node:sqlite";
import { isAlive } from "../../relying-party/dev/process";

const NAME = "sealflow-attack-";
/** Large and only read; an attack that changes one makes its own copy. */
const SHARED = ["images", "cache"];
const COPIED = ["backend", "dev", "pipelines", "keys", "connection.json"];

/** @returns the copy's folder, which the caller removes. */
export async function copyState(home: string): Promise<string> {
  sweep();
  const copy = mkdtempSync(path.join(tmpdir(), `${NAME}${process.pid}-`));
  chmodSync(copy, 0o711);
  for (const name of COPIED) {
    const from = path.join(home, name);
    if (existsSync(from)) cpSync(from, path.join(copy, name), { recursive: true, filter: isNoDatabase });
  }
  for (const database of ["dev/kbs/kbs.db", "dev/ledger/ledger.db"]) await copyDatabase(home, copy, database);
  for (const name of SHARED) {
    mkdirSync(path.join(copy, name), { recursive: true });
    for (const entry of existsSync(path.join(home, name)) ? readdirSync(path.join(home, name)) : []) {
      symlinkSync(path.join(home, name, entry), path.join(copy, name, entry));
    }
  }
  return copy;
}

/** Copies hold keys: what a killed process left goes with the next one's start. */
function sweep(): void {
  for (const name of readdirSync(tmpdir()).filter((n) => n.startsWith(NAME))) {
    const pid = Number(/^(\d+)-/.exec(name.slice(NAME.length))?.[1]);
    if (Number.isInteger(pid) && !isAlive(pid)) rmSync(path.join(tmpdir(), name), { recursive: true, force: true });
  }
}

const isNoDatabase = (file: string): boolean => !/\.db(-wal|-shm|-journal)?$/.test(file);

async function copyDatabase(home: string, copy: string, name: string): Promise<void> {
  const source = new DatabaseSync(path.join(home, name), { readOnly: true });
  try {
    await backup(source, path.join(copy, name));
  } finally {
    source.close();
  }
  chmodSync(path.join(copy, name), 0o600);
}

/** Folders of guests on the host: one each, private, gone with the guest; what a killed node left is swept. */
import { randomBytes } from "node:crypto";
import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { startTime } from "../process";

/** `<pid>-<start time>-<random>`: whose it is can be told after a crash, and a reused pid does not confuse. */
const FOLDER = /^(\d+)-(\d+)-[0-9a-f]{8}$/;

export async function makeGuestFolder(guests: string): Promise<string> {
  const folder = join(guests, `${process.pid}-${startTime(process.pid) ?? 0}-${randomBytes(4).toString("hex")}`);
  await mkdir(join(folder, "net"), { recursive: true, mode: 0o711 });
  await mkdir(join(folder, "memory"), { mode: 0o711 });
  return folder;
}

/** Removes folders of nodes that do not run any more. */
export async function sweepGuests(guests: string): Promise<void> {
  for (const name of await readdir(guests).catch(() => [] as string[])) {
    const [, pid, started] = FOLDER.exec(name) ?? [];
    if (pid === undefined) continue;
    const now = startTime(Number(pid));
    if (now === undefined || (started !== "0" && now !== started)) {
      await rm(join(guests, name), { recursive: true, force: true });
    }
  }
}

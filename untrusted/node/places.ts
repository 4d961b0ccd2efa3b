/** Folders of guests on the host: one each, private, gone with the guest; what a killed node left is swept. */
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";

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

/** Of a running process, in clock ticks; "0" where there is no /proc; undefined when there is no such process. */
function startTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    // One that has ended holds nothing, although nobody may have asked for it yet.
    return fields[0] === "Z" ? undefined : fields[19];
  } catch {
    if (process.platform === "linux") return undefined;
    try {
      process.kill(pid, 0);
      return "0";
    } catch {
      return undefined;
    }
  }
}

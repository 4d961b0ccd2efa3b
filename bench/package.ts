/**
 * What the package costs whoever works on it and whoever uses it: the type check of everything, cold; starting each stack's
 * program up to its first resource; the tarball. On a busy machine times are CPU time.
 */
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BenchOptions, type Figure, figure } from "./figure";
import { firstResource, STACKS } from "./package/start";
import { ROOT } from "./support/child";
import { isBusy, median, spentOn } from "./support/machine";

const MB = 1e6;
const LIMIT = { checkSeconds: 25, checkMB: 1000, startSeconds: 2.5, tarballMB: 3 };
/** As tools/test.js runs it, without what an earlier check left. */
const CHECK = [
  join(ROOT, "node_modules/typescript-7/bin/tsc"),
  "-p",
  ROOT,
  "--incremental",
  "false",
  "--checkers",
  "1",
] as const;
/** Entries of the package, and what a program with nothing else would load anyway. */
const ENTRIES = ["@pulumi/pulumi", "sealflow", "sealflow/kubernetes", "sealflow/azure", "sealflow/aws"];
const STARTS = 3;

export async function run({ say }: BenchOptions): Promise<Figure[]> {
  const busy = isBusy();
  const by = busy ? ", CPU time" : "";
  const took = ({ seconds, cpu }: { seconds: number; cpu: number }) => (busy ? cpu : seconds);

  say("type check of everything");
  const check = took(spentOn(process.execPath, CHECK));
  const memory = (await peakBytes(process.execPath, CHECK)) / MB;
  const figures = [
    limited(`type check of everything${by}`, check, "s", LIMIT.checkSeconds),
    limited("type check of everything, peak memory", memory, "MB", LIMIT.checkMB),
  ];

  for (const entry of ENTRIES) {
    say(`importing ${entry}`);
    const script = `require(${JSON.stringify(entry)})`;
    const times = await several(async () => took(spentOn("env", ["-C", ROOT, process.execPath, "-e", script])));
    figures.push(limited(`importing ${entry}${by}`, median(times), "s", LIMIT.startSeconds));
  }
  const cache = mkdtempSync(join(tmpdir(), "sf-bench-"));
  try {
    for (const stack of STACKS) {
      say(`starting stacks/${stack}.ts`);
      const name = `stacks/${stack}.ts, to its first resource`;
      const cold = await several(async () => took(await firstResource(stack)));
      figures.push(limited(`${name}${by}`, median(cold), "s", LIMIT.startSeconds));
      await firstResource(stack, cache);
      const again = await several(async () => took(await firstResource(stack, cache)));
      figures.push(limited(`${name}, compiled before${by}`, median(again), "s", LIMIT.startSeconds));
    }
  } finally {
    rmSync(cache, { recursive: true, force: true });
  }

  say("packing");
  const packed = execFileSync("npm", ["pack", "--dry-run", "--json"], {
    cwd: ROOT,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
    maxBuffer: 1 << 26,
  });
  const [{ size, entryCount }] = JSON.parse(packed.slice(packed.indexOf("[")));
  figures.push(limited(`npm pack, ${entryCount} files`, size / MB, "MB", LIMIT.tarballMB));
  return figures;
}

const limited = (name: string, value: number, unit: string, limit: number): Figure =>
  figure({ name, value, unit, against: limit, atMost: limit });

async function several(once: () => Promise<number>): Promise<number[]> {
  const times: number[] = [];
  for (let n = 0; n < STARTS; n++) times.push(await once());
  return times;
}

/** Resident memory of one process at its worst moment, by the kernel's own mark. */
function peakBytes(command: string, args: readonly string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: "ignore" });
    let kilobytes = 0;
    const look = setInterval(() => {
      try {
        const status = readFileSync(`/proc/${child.pid}/status`, "utf8");
        kilobytes = Math.max(kilobytes, Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0));
      } catch {
        // It has just ended.
      }
    }, 20);
    child.once("error", reject);
    child.once("close", (code) => {
      clearInterval(look);
      if (code === 0) resolve(kilobytes * 1024);
      else reject(new Error(`${args.join(" ")}: exit ${code}`));
    });
  });
}

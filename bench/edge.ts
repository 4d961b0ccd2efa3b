/**
 * Writing and reading an edge's object: cipher, digest and their overlap, beside OpenSSL's own figures, Tink for Python
 * and age with openssl dgst, all measured in the same run. SEALFLOW_BENCH_BYTES changes the size (default 4 GiB).
 *
 * On an idle machine all times are by the clock. On a busy one the clock measures the others; then each time is the CPU
 * time of its busiest thread, which is what the clock would show if every thread had a core. The names say which.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, openSync, readdirSync, rmSync, statfsSync, writeFileSync, writeSync } from "node:fs";
import { availableParallelism, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { type BenchOptions, type Figure, figure } from "./figure";
import { program, ROOT } from "./support/child";
import { isBusy, opensslRate, spentOn } from "./support/machine";

const SIZE = Number(process.env.SEALFLOW_BENCH_BYTES ?? 4 * 2 ** 30);
/** Peers copy through files in memory, so they get less of it; a rate does not depend on it. */
const PEER_SIZE = Math.min(SIZE, 2 ** 30);
const ROUNDS = 3;
const MB = 1e6;

/** What other load there is makes a pass slower, never faster: the best of some rounds. */
async function best(once: () => number | Promise<number>): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < ROUNDS; i++) least = Math.min(least, await once());
  return least;
}

export async function run({ say }: BenchOptions): Promise<Figure[]> {
  const busy = isBusy();
  const by = busy ? ", by CPU time of the busiest thread" : "";
  if (busy) say(`load is ${loadavg()[0]?.toFixed(1)} before the bench begins: measuring CPU time instead of the clock`);
  const secondsOf = ({ seconds, busiest }: Pass): number => (busy ? busiest : seconds);
  const timed = timer(busy);
  const pass = program("bench/edge/pass.ts");
  const dir = mkdtempSync(join(memoryFolder(3 * PEER_SIZE), "sf-edge-"));
  try {
    say(`sealing ${SIZE / 2 ** 20} MiB from memory; OpenSSL before and after`);
    const rate = { aes: opensslRate("aes-256-gcm", busy), sha: opensslRate("sha256", busy) };
    const written = SIZE / (await best(async () => secondsOf(await pass.run<Pass>("write", String(SIZE))))) / MB;

    const at = (name: string) => join(dir, name);
    fill(at("plain"), PEER_SIZE);
    await pass.run<Pass>("seal", at("plain"), at("sealed"));
    const opened = PEER_SIZE / (await best(async () => secondsOf(await pass.run<Pass>("open", at("sealed"))))) / MB;
    const after = { aes: opensslRate("aes-256-gcm", busy), sha: opensslRate("sha256", busy) };
    const limit = Math.min(Math.max(rate.aes, after.aes), Math.max(rate.sha, after.sha));
    const cores = availableParallelism();
    const figures = [
      figure({
        name: `edge write on ${cores} cores, beside openssl's slower of AES-256-GCM and SHA-256${by}`,
        value: written,
        unit: "MB/s",
        against: limit,
        atLeast: round(0.85 * limit),
      }),
      figure({
        name: `edge read on ${cores} cores, beside openssl's slower of AES-256-GCM and SHA-256${by}`,
        value: opened,
        unit: "MB/s",
        against: limit,
        atLeast: round(0.85 * limit),
      }),
    ];

    say(`file to file, ${PEER_SIZE / 2 ** 20} MiB: ours, Tink for Python, age and openssl dgst`);
    const ours = {
      write:
        PEER_SIZE / MB / (await best(async () => secondsOf(await pass.run<Pass>("seal", at("plain"), at("sealed"))))),
      read: PEER_SIZE / MB / (await best(async () => secondsOf(await pass.run<Pass>("open", at("sealed"), at("out"))))),
    };
    for (const [peer, times, ratio] of [
      ["Tink for Python, 1 MiB segments", await tink(at, say, timed), 3],
      ["age, then openssl dgst", await age(at, say, timed), 1.5],
    ] as const) {
      if (!times) continue;
      for (const what of ["write", "read"] as const) {
        const against = PEER_SIZE / MB / times[what];
        figures.push(
          figure({
            name: `edge ${what}, file to file, beside ${peer}${by}`,
            value: ours[what],
            unit: "MB/s",
            against,
            atLeast: round(ratio * against),
          }),
        );
      }
    }
    return figures;
  } finally {
    rmSync(dir, { recursive: true, force: true });
    pass.remove();
  }
}

interface Pass {
  readonly seconds: number;
  readonly busiest: number;
  readonly rss: number;
}

const round = (value: number): number => Math.round(value);

/** A file system in memory when it has room: the disk is not what is measured. */
function memoryFolder(bytes: number): string {
  try {
    const { bavail, bsize } = statfsSync("/dev/shm");
    if (bavail * bsize > bytes) return "/dev/shm";
  } catch {
    // Not there.
  }
  return tmpdir();
}

function fill(path: string, size: number): void {
  const block = Buffer.alloc(2 ** 20, "sealflow");
  const file = openSync(path, "w");
  for (let at = 0; at < size; at += block.length) writeSync(file, block);
}

type Times = { readonly write: number; readonly read: number };

/** @returns seconds, or undefined where Tink is not installed (the interoperability tests install it). */
async function tink(
  at: (name: string) => string,
  say: (line: string) => void,
  timed: Timer,
): Promise<Times | undefined> {
  const cache =
    process.env.SEALFLOW_CACHE ??
    join(process.env.XDG_CACHE_HOME ?? join(process.env.HOME ?? "", ".cache"), "sealflow");
  let homes: string[] = [];
  try {
    homes = readdirSync(join(cache, "test")).filter((n) => n.startsWith("tink-"));
  } catch {
    // Never installed.
  }
  if (!homes[0]) {
    say("Tink for Python is not installed: run the tests in test/interop first; not compared");
    return undefined;
  }
  const python = join(cache, "test", homes[0], "bin", "python");
  const { tinkKeyset } = require("../owner/release") as typeof import("../owner/release");
  writeFileSync(at("keyset"), JSON.stringify(tinkKeyset(new Uint8Array(32).fill(1))), { mode: 0o600 });
  const script = join(ROOT, "test", "interop", "stream_file.py");
  const once = (action: string, from: string, to: string) =>
    timed(python, [script, action, at("keyset"), "02".repeat(200), at(from), at(to)]);
  return {
    write: await best(() => once("seal", "plain", "tink")),
    read: await best(() => once("open", "tink", "out")),
  };
}

async function age(
  at: (name: string) => string,
  say: (line: string) => void,
  timed: Timer,
): Promise<Times | undefined> {
  if (spawnSync("age", ["--version"]).status !== 0) {
    say("age is not installed (apt-get install age): not compared");
    return undefined;
  }
  rmSync(at("age-key"), { force: true });
  execFileSync("age-keygen", ["-o", at("age-key")], { stdio: "ignore" });
  const recipient = execFileSync("age-keygen", ["-y", at("age-key")], { encoding: "utf8" }).trim();
  const dgst = () => timed("openssl", ["dgst", "-sha256", at("age")]);
  return {
    write: await best(() => timed("age", ["-r", recipient, "-o", at("age"), at("plain")]) + dgst()),
    read: await best(() => dgst() + timed("age", ["-d", "-i", at("age-key"), "-o", at("out"), at("age")])),
  };
}

type Timer = (command: string, args: string[]) => number;

/** @param busy CPU seconds instead of the clock's. Both peers work in one thread. */
function timer(busy: boolean): Timer {
  return (command, args) => {
    const { seconds, cpu } = spentOn(command, args);
    return busy ? cpu : seconds;
  };
}

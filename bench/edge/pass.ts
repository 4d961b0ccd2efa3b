/**
 * One pass over an object as the runner makes it, without the network:
 * pass.js write <bytes> | seal <from> <to> | open <from> [<to>]. Prints seconds by the clock, CPU seconds
 * of the busiest thread, and peak memory.
 * `write` seals from memory and drops the ciphertext; the others go from file to file.
 */
import { closeSync, fstatSync, openSync, readdirSync, readSync, writeSync } from "node:fs";
import { createDigest, type Digest } from "../../guest/digest";
import { StreamOpener, StreamSealer, sealedSize } from "../../protocol/stream";
import { cpuSecondsOf } from "../support/machine";

const BLOCK = 1024 * 1024;
const key = new Uint8Array(32).fill(1);
const ad = new Uint8Array(200).fill(2);

async function write(size: number, source: (block: Buffer) => number, sink: (bytes: Uint8Array) => void) {
  const digest = createDigest(sealedSize(size));
  const sealer = new StreamSealer(key, ad, new Uint8Array(32).fill(3), new Uint8Array(7).fill(4));
  const block = Buffer.alloc(BLOCK, 5);
  const keep = (sealed: Uint8Array) => {
    digest.update(sealed);
    sink(sealed);
  };
  for (let n = source(block); n > 0; n = source(block)) for (const s of sealer.push(block.subarray(0, n))) keep(s);
  for (const s of sealer.end()) keep(s);
  await digest.digest();
  return digest;
}

async function read(size: number, source: (block: Buffer) => number, sink: (bytes: Uint8Array) => void) {
  const digest = createDigest(size);
  const opener = new StreamOpener(key, ad);
  const block = Buffer.alloc(BLOCK);
  for (let n = source(block); n > 0; n = source(block)) {
    const part = block.subarray(0, n);
    digest.update(part);
    for (const piece of opener.push(part)) sink(piece);
  }
  for (const piece of opener.end()) sink(piece);
  await digest.digest();
  return digest;
}

async function main([what = "", from = "", to]: string[]): Promise<void> {
  const target = to === undefined ? undefined : openSync(to, "w");
  const sink = (bytes: Uint8Array) => {
    if (target !== undefined) writeSync(target, bytes);
  };
  // The thread and the compiled code are there in a runner that works on its second object.
  const warm = repeated(32 * BLOCK);
  (await write(32 * BLOCK, warm, () => undefined)).close();
  const before = cpuOfThreads();
  const started = process.hrtime.bigint();
  let digest: Digest;
  if (what === "write") {
    digest = await write(Number(from), repeated(Number(from)), sink);
  } else {
    const file = openSync(from, "r");
    const pass = what === "seal" ? write : read;
    digest = await pass(fstatSync(file).size, (block) => readSync(file, block), sink);
    closeSync(file);
  }
  const seconds = Number(process.hrtime.bigint() - started) / 1e9;
  const spent = [...cpuOfThreads()].map(([thread, cpu]) => cpu - (before.get(thread) ?? 0));
  digest.close();
  const rss = process.resourceUsage().maxRSS * 1024;
  process.stdout.write(JSON.stringify({ seconds, busiest: Math.max(...spent), rss }));
}

/** Seconds of CPU by thread. */
function cpuOfThreads(): Map<string, number> {
  return new Map(readdirSync("/proc/self/task").map((thread) => [thread, cpuSecondsOf(`self/task/${thread}`) ?? 0]));
}

/** Gives the same block until so many bytes have been read. */
function repeated(size: number): (block: Buffer) => number {
  let left = size;
  return (block) => {
    const n = Math.min(left, block.length);
    left -= n;
    return n;
  };
}

main(process.argv.slice(2)).catch((error: Error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});

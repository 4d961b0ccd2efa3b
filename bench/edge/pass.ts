/**
 * One pass over an object as the runner makes it, without the network:
 * pass.js write <bytes> | seal <from> <to> | open <from> [<to>]. Prints seconds by the clock, CPU seconds
 * of the busiest thread, and peak memory.
 * `write` seals from memory and drops the ciphertext; the others go from file to file, which are read and written as the
 * runner does.
 */
import { readdirSync } from "node:fs";
import { open } from "node:fs/promises";
import { createDigest, type Digest } from "../../guest/digest";
import { readAhead, WriteBehind } from "../../guest/file-streams";
import { release } from "../../protocol/bytes";
import { StreamOpener, StreamSealer, sealedSize } from "../../protocol/stream";
import { cpuSecondsOf } from "../support/machine";

const BLOCK = 1024 * 1024;
const key = new Uint8Array(32).fill(1);
const ad = new Uint8Array(200).fill(2);

type Source = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
type Sink = (bytes: Uint8Array) => Promise<void> | void;

async function write(size: number, source: Source, sink: Sink) {
  const digest = createDigest(sealedSize(size));
  const sealer = new StreamSealer(key, ad, new Uint8Array(32).fill(3), new Uint8Array(7).fill(4));
  const keep = (sealed: Uint8Array) => {
    digest.update(sealed);
    return sink(sealed);
  };
  for await (const block of source) for (const sealed of sealer.push(block)) await keep(sealed);
  for (const sealed of sealer.end()) await keep(sealed);
  await digest.digest();
  return digest;
}

async function read(size: number, source: Source, sink: Sink) {
  const digest = createDigest(size);
  const opener = new StreamOpener(key, ad);
  for await (const block of source) {
    digest.update(block);
    for (const piece of opener.push(block)) await sink(piece);
  }
  for (const piece of opener.end()) await sink(piece);
  await digest.digest();
  return digest;
}

async function main([what = "", from = "", to]: string[]): Promise<void> {
  // What is read goes to a file in the runner; without one, nowhere by the same way. What is written goes to the network,
  // which gives memory back at once.
  const target = what === "write" ? undefined : await open(to ?? "/dev/null", "w");
  const writing = target && new WriteBehind(target);
  const sink: Sink = (bytes) => (writing ? writing.write(bytes) : release(bytes));
  // The thread and the compiled code are there in a runner that works on its second object.
  const warm = repeated(32 * BLOCK);
  (await write(32 * BLOCK, warm, () => undefined)).close();
  const before = cpuOfThreads();
  const started = process.hrtime.bigint();
  let digest: Digest;
  if (what === "write") {
    digest = await write(Number(from), repeated(Number(from)), sink);
  } else {
    const file = await open(from, "r");
    const { size } = await file.stat();
    const source = readAhead(file, size, () => new Error(`${from} became shorter`));
    digest = await (what === "seal" ? write : read)(size, source, sink);
    await file.close();
  }
  await writing?.end();
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

/** The same block again and again, so many bytes. */
function* repeated(size: number): Generator<Uint8Array> {
  const block = Buffer.alloc(BLOCK, 5);
  for (let left = size; left > 0; left -= block.length) yield block.subarray(0, Math.min(left, block.length));
}

main(process.argv.slice(2)).catch((error: Error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});

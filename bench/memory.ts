/**
 * Peak resident memory of the runner while it seals and uploads an output and reads it back as an input, over HTTP.
 * SEALFLOW_BENCH_BYTES changes the large object's size (default 4 GiB).
 */
import { createReadStream, createWriteStream, mkdtempSync, openSync, rmSync, statSync, writeSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { type BenchOptions, type Figure, figure } from "./figure";
import { program } from "./support/child";

const MIB = 2 ** 20;
const LARGE = Number(process.env.SEALFLOW_BENCH_BYTES ?? 4 * 1024 * MIB);

export async function run({ say }: BenchOptions): Promise<Figure[]> {
  const runner = program("bench/memory/runner.ts");
  try {
    const figures: Figure[] = [];
    for (const [size, limit] of [
      [64 * 1024, 90],
      [MIB, 90],
      [LARGE, 150],
    ] as const) {
      say(`an object of ${size / MIB} MiB`);
      const { rss } = await measure(runner, size);
      const name = `runner's peak memory, object of ${size / MIB} MiB`;
      figures.push(figure({ name, value: rss / MIB, unit: "MiB", against: limit, atMost: limit }));
    }
    return figures;
  } finally {
    runner.remove();
  }
}

async function measure(runner: ReturnType<typeof program>, size: number): Promise<{ rss: number }> {
  const dir = mkdtempSync(join(tmpdir(), "sf-memory-"));
  const store = createServer((req, res) => {
    const file = join(dir, "store");
    if (req.method === "PUT") {
      pipeline(req, createWriteStream(file)).then(
        () => res.writeHead(201).end(),
        () => res.destroy(),
      );
      return;
    }
    res.writeHead(200, { "content-length": statSync(file).size });
    pipeline(createReadStream(file), res).catch(() => res.destroy());
  });
  try {
    const port = await new Promise<number>((resolve) => {
      store.listen(0, "127.0.0.1", () => resolve((store.address() as AddressInfo).port));
    });
    const file = openSync(join(dir, "plain"), "w");
    const block = Buffer.alloc(Math.min(size, MIB), "sealflow");
    for (let at = 0; at < size; at += block.length) writeSync(file, block);
    return await runner.run<{ rss: number }>(String(size), `http://127.0.0.1:${port}`, dir);
  } finally {
    store.close();
    rmSync(dir, { recursive: true, force: true });
  }
}

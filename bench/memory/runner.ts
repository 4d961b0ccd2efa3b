/**
 * The runner's own transfer of one output and one input, with its network code, in a process of its own:
 * runner.js <bytes> <store URL> <folder>. Prints the peak memory. All of the runner's code is loaded.
 */
import { open } from "node:fs/promises";
import { join } from "node:path";
import type { InputObject } from "../../guest/input-object";
import { readInput } from "../../guest/inputs";
import { keepYoungSpaceSmall } from "../../guest/memory";
import { Network } from "../../guest/net/https";
import { runStep } from "../../guest/run";
import { sealAndUpload } from "../../guest/upload";

/** As outputs are read: one block, used again and again. */
async function* content(path: string): AsyncGenerator<Uint8Array> {
  const file = await open(path);
  const block = Buffer.allocUnsafe(1024 * 1024);
  for (;;) {
    const { bytesRead } = await file.read(block, 0, block.length);
    if (bytesRead === 0) break;
    yield block.subarray(0, bytesRead);
  }
  await file.close();
}

async function main([size = "", store = "", folder = ""]: string[]): Promise<void> {
  if (typeof runStep !== "function") throw new Error("the runner is not loaded");
  keepYoungSpaceSmall();
  const bytes = Number(size);
  const network = new Network("https://127.0.0.1:1", "");
  const key = new Uint8Array(32).fill(1);
  const associatedData = new Uint8Array(200).fill(2);
  const url = `${store}/object`;
  const sealed = await sealAndUpload(
    {
      place: { kind: "whole", url },
      key,
      associatedData,
      hmacKey: key,
      size: bytes,
      read: () => content(join(folder, "plain")),
    },
    network,
  );
  const object: InputObject = {
    receipt: { input: "in", dataset: "in", shard: 0, digest: sealed.digest, format: "bytes" },
    url,
    size: sealed.size,
    key,
    associatedData,
    format: "bytes",
    allowUnsafe: false,
    path: ["in"],
  };
  await readInput(object, folder, network);
  network.close();
  process.stdout.write(JSON.stringify({ rss: process.resourceUsage().maxRSS * 1024 }));
}

main(process.argv.slice(2)).catch((error: Error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});

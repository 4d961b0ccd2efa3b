/**
 * Seals one image and one dataset and prints their digests; run by test/owner/node-majors.test.ts on more than one Node.
 * Arguments: folder to seal, base layout, dataset file, runner layer (JSON), folder for the results.
 */
import { join } from "node:path";
import { sealDataset } from "../../../owner/dataset";
import { sealImage } from "../../../owner/image";

const [, , folder, base, dataset, runnerLayer, out] = process.argv as string[];
const root = { secret: new Uint8Array(32).fill(9), generation: 1 };
const ownerPublicKey = Buffer.alloc(32, 3).toString("base64url");

async function main(): Promise<void> {
  const image = await sealImage({
    name: "train",
    source: { kind: "folder", path: folder as string, base: base as string },
    root,
    ownerPublicKey,
    runnerLayer: JSON.parse(runnerLayer as string),
    layoutDir: join(out as string, "layout"),
  });
  const sealed = join(out as string, "dataset");
  const data = await sealDataset({ id: "mails", path: dataset as string, format: "jsonl", root, out: sealed });
  console.log(JSON.stringify({ node: process.versions.node, image, data }));
}

void main();

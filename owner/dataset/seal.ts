/** Seals one file as a dataset object. Two passes: the content's keyed digest selects the key. Constant memory. */
import { createHash, createHmac } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, open, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { datasetAssociatedData } from "../../protocol/associated";
import { SealflowError } from "../../protocol/errors";
import type { Format } from "../../protocol/formats";
import { datasetDigestKey, datasetKey, datasetNonce, datasetRoot, type Root } from "../../protocol/keys";
import { StreamSealer } from "../../protocol/stream";

/** Append only. DATASET_MISSING: no such file. DATASET_CHANGED: the file changed while it was sealed; try again. */
export type DatasetCode = "DATASET_MISSING" | "DATASET_CHANGED";
export class DatasetError extends SealflowError<DatasetCode> {}

export interface SealDatasetOptions {
  /** Name of the dataset; part of its key. */
  readonly id: string;
  readonly path: string;
  readonly format: Format;
  readonly root: Root;
  /** The sealed object is written here: to a file beside it first, then renamed. */
  readonly out: string;
}

export interface SealedDataset {
  /** HMAC-SHA256 of the content under a key of the root, hex: equal for equal content, and confirms no guess. */
  readonly contentDigest: string;
  /** SHA-256 and size in bytes of the ciphertext. */
  readonly digest: string;
  readonly size: number;
}

/** SHA-256 of the plaintext, hex: needs no root; for diffs. @throws DatasetError DATASET_MISSING. */
export const digestDataset = async (path: string): Promise<string> => {
  const hash = createHash("sha256");
  await eachChunk(path, (chunk) => hash.update(chunk));
  return hash.digest("hex");
};

/** @throws DatasetError */
export async function sealDataset({ id, path, format, root, out }: SealDatasetOptions): Promise<SealedDataset> {
  const contentDigest = await keyedDigest(path, root);
  const from = datasetRoot(root, id);
  const { salt, prefix } = datasetNonce(from, id, contentDigest);
  const key = datasetKey(from, id, contentDigest);
  const sealer = new StreamSealer(key, datasetAssociatedData(id, contentDigest, format), salt, prefix);
  // What is encrypted must be what was digested: other content under this key and nonce would break both.
  const again = createHmac("sha256", datasetDigestKey(root));
  const hash = createHash("sha256");
  let size = 0;
  await mkdir(dirname(out), { recursive: true, mode: 0o700 });
  const work = `${out}.${process.pid}`;
  const file = await open(work, "w", 0o600);
  try {
    const write = async (pieces: Iterable<Uint8Array>): Promise<void> => {
      for (const piece of pieces) {
        hash.update(piece);
        size += piece.length;
        await file.writeFile(piece);
      }
    };
    await eachChunk(path, async (chunk) => {
      again.update(chunk);
      await write(sealer.push(chunk));
    });
    await write(sealer.end());
    if (again.digest("hex") !== contentDigest) {
      throw new DatasetError("DATASET_CHANGED", `dataset ${id}: ${path} changed while it was sealed; run again`);
    }
    await file.sync();
    await file.close();
    await rename(work, out);
  } finally {
    await file.close().catch(() => {});
    await rm(work, { force: true });
  }
  return { contentDigest, digest: hash.digest("hex"), size };
}

async function keyedDigest(path: string, root: Root): Promise<string> {
  const mac = createHmac("sha256", datasetDigestKey(root));
  await eachChunk(path, (chunk) => mac.update(chunk));
  return mac.digest("hex");
}

async function eachChunk(path: string, use: (chunk: Buffer) => unknown): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (!found?.isFile()) {
    throw new DatasetError(
      "DATASET_MISSING",
      `dataset file ${path} ${found ? "is not a file" : "does not exist"}; check the path`,
    );
  }
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) await use(chunk as Buffer);
}

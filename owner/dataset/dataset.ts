/**
 * Datasets are sealed where they lie, in two passes and constant memory: the first one digests (key, nonce and associated
 * data are bound to the content), the second one encrypts, and ends in an error when it read anything else.
 */
import { createHash, createHmac, type Hash, type Hmac } from "node:crypto";
import { realpath, stat } from "node:fs/promises";
import * as path from "node:path";
import { datasetAssociatedData } from "../../protocol/associated";
import { SealflowError } from "../../protocol/errors";
import type { Format } from "../../protocol/formats";
import { datasetDigestKey, datasetKey, datasetNonce, datasetRoot, type Root } from "../../protocol/keys";
import { isName } from "../../protocol/names";
import { StreamSealer } from "../../protocol/stream";
import { readRegular, SourceError, TempFile } from "../oci";

/** Append only. DATASET_ID: cannot be an id. DATASET_CHANGED: the file changed while it was sealed; try again. */
export type DatasetCode = "DATASET_ID" | "DATASET_CHANGED";
export class DatasetError extends SealflowError<DatasetCode> {}

export interface SealDatasetOptions {
  /** [a-z0-9-], 1 to 40 characters. */
  readonly id: string;
  readonly path: string;
  readonly format: Format;
  readonly root: Root;
  /** File that gets the sealed object; one that is there is replaced. */
  readonly out: string;
  /** Gets lines such as `sealing: 64 of 900 MiB`. */
  readonly onProgress?: (message: string) => void;
  readonly signal?: AbortSignal;
}

export interface SealedDataset {
  /** Keyed digest of the plaintext, hex: confirms no guess. */
  readonly contentDigest: string;
  /** SHA-256 of the sealed object, hex. */
  readonly digest: string;
  /** Bytes of the sealed object. */
  readonly size: number;
}

/** SHA-256 of the plaintext, hex; for comparing, by the owner only. @throws SourceError. */
export async function digestDataset(file: string): Promise<string> {
  return (await absorb(file, createHash("sha256"), {})).digest("hex");
}

/** @throws DatasetError, SourceError; errors of the file system such as ENOSPC. */
export async function sealDataset(options: SealDatasetOptions): Promise<SealedDataset> {
  const { id, root, format, out } = options;
  if (!isName(id)) throw new DatasetError("DATASET_ID", `dataset id ${JSON.stringify(id)}: use [a-z0-9-], at most 40`);
  const contentDigest = (await absorb(options.path, contentMac(root), options, "reading")).digest("hex");
  const from = datasetRoot(root, id);
  const { salt, prefix } = datasetNonce(from, id, contentDigest);
  const sealer = new StreamSealer(
    datasetKey(from, id, contentDigest),
    datasetAssociatedData(id, contentDigest, format),
    salt,
    prefix,
  );
  const hash = createHash("sha256");
  let size = 0;
  const file = await TempFile.create(path.dirname(path.resolve(out)));
  try {
    const write = async (pieces: Iterable<Uint8Array>) => {
      for (const piece of pieces) {
        hash.update(piece);
        size += piece.length;
        await file.write(piece.slice()); // the sealer may use its buffer again
      }
    };
    const again = contentMac(root);
    await absorb(options.path, again, options, "sealing", (chunk) => write(sealer.push(chunk)));
    await write(sealer.end());
    // Other content under this key and nonce must not leave this function.
    if (again.digest("hex") !== contentDigest)
      throw new DatasetError("DATASET_CHANGED", `${options.path}: changed while it was sealed. Try again`);
    await file.commit(out);
  } finally {
    await file.discard();
  }
  return { contentDigest, digest: hash.digest("hex"), size };
}

const contentMac = (root: Root): Hmac => createHmac("sha256", datasetDigestKey(root));

const PROGRESS_STEP = 32 * 1024 * 1024;
const mib = (bytes: number): number => Math.round(bytes / 1024 / 1024);

/** Reads the file once, into a hash and whatever else wants it. */
async function absorb<H extends Hash | Hmac>(
  file: string,
  hash: H,
  { onProgress, signal }: Pick<SealDatasetOptions, "onProgress" | "signal">,
  what = "reading",
  each: (chunk: Uint8Array) => Promise<void> = async () => {},
): Promise<H> {
  const size = await sizeOf(file);
  let done = 0;
  let next = PROGRESS_STEP;
  for await (const chunk of readRegular(await realpath(file), size)) {
    signal?.throwIfAborted();
    hash.update(chunk);
    await each(chunk);
    done += chunk.length;
    if (done < next) continue;
    next = done + PROGRESS_STEP;
    onProgress?.(`${what}: ${mib(done)} of ${mib(size)} MiB`);
  }
  return hash;
}

async function sizeOf(file: string): Promise<number> {
  let found: Awaited<ReturnType<typeof stat>>;
  try {
    found = await stat(file);
  } catch (cause) {
    throw new SourceError("SOURCE_MISSING", `${file}: no such file. Correct the path of the dataset`, { cause });
  }
  if (!found.isFile()) throw new SourceError("SOURCE_MISSING", `${file}: is no regular file. A dataset is one file`);
  return found.size;
}

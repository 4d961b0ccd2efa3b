/** Outputs: regular files only, opened after the program is gone, checked, sealed and uploaded in one pass. */
import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { edgeAssociatedData } from "../protocol/associated";
import { fromBase64url } from "../protocol/bytes";
import type { Format } from "../protocol/formats";
import { keyCommit, objectKey, plaintextKey } from "../protocol/keys";
import { edgeName } from "../protocol/names";
import type { Assignment } from "./answer";
import type { OpenedBundle } from "./bundle";
import { RunnerError } from "./errors";
import { readAhead } from "./file-streams";
import { checkerFor, FormatError } from "./formats";
import type { Network } from "./net/https";
import { placeIn } from "./parts";
import { type Sealed, sealAndUpload } from "./upload";

export interface WrittenObject extends Sealed {
  readonly key: Uint8Array;
  readonly keyCommit: string;
  /** Of a declassified output. */
  readonly bit?: boolean;
}

/** @throws RunnerError OUTPUT_MISSING, OUTPUT_KIND, OUTPUT_BIT, FORMAT, STORE_UNREACHABLE. */
export async function writeOutput(
  opened: OpenedBundle,
  work: Assignment,
  output: string,
  folder: string,
  network: Network,
): Promise<WrittenObject> {
  const { bundle } = opened;
  const { step, outputs } = bundle.program;
  const spec = outputs[output];
  const place = work.go.uploads[output];
  const edge = edgeName(step, output);
  const root = bundle.edgeRoots[edge];
  if (!spec || !place || !root) throw new RunnerError("INTERNAL", `output ${output}: no key or place`);
  const edgeRoot = fromBase64url(root);
  const key = objectKey(edgeRoot, work.runSecret, work.run, step, work.shard, work.attempt);
  const file = await openRegular(join(folder, output), output);
  try {
    const { size } = await file.stat();
    const bit = spec.declassify === undefined ? {} : { bit: await readBit(file, size, output) };
    const sealed = await sealAndUpload(
      {
        place: placeIn(opened, work, output, place.url, network),
        key,
        associatedData: associatedData(work, edge, spec.format),
        hmacKey: plaintextKey(edgeRoot),
        size,
        read: () => checkedContent(file, size, output, spec.format, spec.allowUnsafeFormat !== undefined),
      },
      network,
    );
    return { ...sealed, key, keyCommit: keyCommit(key), ...bit };
  } finally {
    await file.close();
  }
}

export const associatedData = (work: Assignment, edge: string, format: Format): Uint8Array =>
  edgeAssociatedData({
    pipelineUid: work.descriptor.pipelineUid,
    run: work.run,
    edge,
    shard: work.shard,
    attempt: work.attempt,
    format,
  });

/** One JSON boolean and nothing else: what is declassified is a bit, not whatever the program liked to write. */
async function readBit(file: FileHandle, size: number, output: string): Promise<boolean> {
  const text = size > 16 ? "" : (await file.read(Buffer.alloc(16), 0, 16, 0)).buffer.toString("latin1", 0, size).trim();
  if (text === "true" || text === "false") return text === "true";
  throw new RunnerError("OUTPUT_BIT", `output ${output}: is declassified, so it must be true or false`);
}

/** Follows no link, waits for no pipe, and opens nothing but a regular file. */
async function openRegular(path: string, output: string): Promise<FileHandle> {
  let file: FileHandle;
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === "ENOENT";
    throw new RunnerError(
      missing ? "OUTPUT_MISSING" : "OUTPUT_KIND",
      missing
        ? `output ${output}: the program ended well but did not write /sealflow/out/${output}`
        : `output ${output}: /sealflow/out/${output} is not a regular file`,
    );
  }
  if ((await file.stat()).isFile()) return file;
  await file.close();
  throw new RunnerError("OUTPUT_KIND", `output ${output}: /sealflow/out/${output} is not a regular file`);
}

async function* checkedContent(
  file: FileHandle,
  size: number,
  output: string,
  format: Format,
  allowUnsafe: boolean,
): AsyncGenerator<Uint8Array> {
  const checker = checkerFor(format, allowUnsafe);
  const shorter = () => new RunnerError("INTERNAL", `output ${output}: became shorter while it was read`);
  try {
    for await (const piece of readAhead(file, size, shorter)) {
      checker.write(piece);
      yield piece;
    }
    checker.end();
  } catch (error) {
    if (error instanceof FormatError) {
      throw new RunnerError("FORMAT", `output ${output}: not valid ${format}: ${error.message}`);
    }
    throw error;
  }
}

/** The log of an attempt: the program's output and the runner's last words, padded, encrypted, uploaded once. */
import { fromBase64url, u32be, utf8 } from "../protocol/bytes";
import { keyCommit, objectKey, plaintextKey } from "../protocol/keys";
import { edgeName } from "../protocol/names";
import { type Assignment, LOG } from "./answer";
import type { OpenedBundle } from "./bundle";
import type { Network } from "./net/https";
import { associatedData, type WrittenObject } from "./outputs";
import { placeIn } from "./parts";
import { sealAndUpload } from "./upload";

/** The size of a log tells no more than which multiple of this it is, bytes. */
export const LOG_BLOCK = 64 * 1024;

/** `u32be(length) ‖ text ‖ zeros`, to a multiple of LOG_BLOCK. */
export function padLog(text: Uint8Array): Uint8Array {
  const padded = new Uint8Array(Math.ceil((text.length + 4) / LOG_BLOCK) * LOG_BLOCK);
  padded.set(u32be(text.length));
  padded.set(text, 4);
  return padded;
}

/** @param lastWords lines of the runner, such as how the program ended. */
export async function writeLog(
  opened: OpenedBundle,
  work: Assignment,
  output: Uint8Array,
  lastWords: readonly string[],
  network: Network,
): Promise<WrittenObject> {
  const { bundle } = opened;
  const { step } = bundle.program;
  const root = fromBase64url(bundle.logRoot);
  const key = objectKey(root, work.runSecret, work.run, step, work.shard, work.attempt);
  const words = lastWords.map((line) => `[sealflow] ${line}\n`).join("");
  const newline = output.length > 0 && output.at(-1) !== 0x0a ? "\n" : "";
  const content = padLog(Buffer.concat([output, utf8(newline + words)]));
  const sealed = await sealAndUpload(
    {
      place: placeIn(opened, work, LOG, work.go.log.url, network),
      key,
      associatedData: associatedData(work, edgeName(step, LOG), "text"),
      hmacKey: plaintextKey(root),
      size: content.length,
      read: async function* () {
        yield content;
      },
    },
    network,
  );
  return { ...sealed, key, keyCommit: keyCommit(key) };
}

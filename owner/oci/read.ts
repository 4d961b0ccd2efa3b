/** Regular files as streams: links are not followed at the end of the path, and sizes are checked while reading. */
import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { pathText } from "../../protocol/quoted";
import { SourceError } from "./errors";

export const CHUNK = 1024 * 1024;

/**
 * Chunks of at most 1 MiB; the next one is read while the caller works on the last.
 * @param size bytes that the file must have, when known.
 * @param reuse two buffers take turns: a chunk is good only until the next is asked for. Default: each has its own.
 * @throws SourceError SOURCE_CHANGED when it has another size or is no file any more; errors of the file system.
 */
export async function* readRegular(file: string, size?: number, reuse = false): AsyncGenerator<Uint8Array> {
  // O_NONBLOCK: a pipe that took the file's place must not hang us.
  const handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  let next: Promise<Uint8Array> | undefined;
  try {
    const found = await handle.stat();
    if (!found.isFile()) throw new SourceError("SOURCE_CHANGED", `${pathText(file)}: is no regular file any more`);
    const expected = size ?? found.size;
    let done = 0;
    // One byte more than expected shows a file that grew.
    const length = () => Math.min(CHUNK, expected - done + 1);
    const buffers = reuse ? [Buffer.allocUnsafe(length()), Buffer.allocUnsafe(length())] : [];
    let turn = 0;
    const read = async () => {
      const chunk = buffers[turn++ % 2]?.subarray(0, length()) ?? Buffer.allocUnsafe(length());
      const { bytesRead } = await handle.read(chunk, 0, chunk.length, done);
      return chunk.subarray(0, bytesRead);
    };
    next = read();
    for (;;) {
      const chunk = await next;
      next = undefined;
      done += chunk.length;
      if (done > expected || chunk.length === 0) break;
      next = read();
      // Its error is thrown where it is waited for.
      next.catch(() => undefined);
      yield chunk;
    }
    if (done !== expected)
      throw new SourceError(
        "SOURCE_CHANGED",
        `${pathText(file)}: changed its size while it was read, expected ${expected} bytes`,
      );
  } finally {
    await next?.catch(() => undefined);
    await handle.close();
  }
}

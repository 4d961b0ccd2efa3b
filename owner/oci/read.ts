/** Regular files as streams: links are not followed at the end of the path, and sizes are checked while reading. */
import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { SourceError } from "./errors";

export const CHUNK = 1024 * 1024;

/**
 * Chunks of at most 1 MiB, each a buffer of its own.
 * @param size bytes that the file must have, when known.
 * @throws SourceError SOURCE_CHANGED when it has another size or is no file any more; errors of the file system.
 */
export async function* readRegular(file: string, size?: number): AsyncGenerator<Uint8Array> {
  // O_NONBLOCK: a pipe that took the file's place must not hang us.
  const handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const found = await handle.stat();
    if (!found.isFile()) throw new SourceError("SOURCE_CHANGED", `${file}: is no regular file any more`);
    const expected = size ?? found.size;
    let done = 0;
    for (;;) {
      // One byte more than expected shows a file that grew.
      const chunk = Buffer.allocUnsafe(Math.min(CHUNK, expected - done + 1));
      const { bytesRead } = await handle.read(chunk, 0, chunk.length, done);
      done += bytesRead;
      if (done > expected) break;
      if (bytesRead === 0) break;
      yield chunk.subarray(0, bytesRead);
    }
    if (done !== expected)
      throw new SourceError(
        "SOURCE_CHANGED",
        `${file}: changed its size while it was read, expected ${expected} bytes`,
      );
  } finally {
    await handle.close();
  }
}

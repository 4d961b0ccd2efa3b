/** Files beside the cipher: the disk reads the next block, and writes the last one, while the cipher works. */
import type { FileHandle } from "node:fs/promises";
import { release } from "./net/release";

const READ_BYTES = 1024 * 1024;
/** Handing a piece to the disk's thread takes as long as encrypting one of 50 KiB. */
const WRITTEN_BYTES = 512 * 1024;

/**
 * The first `size` bytes of a file; two buffers take turns, so a block is good only until the next is asked for.
 * @param shorter makes the error for a file that has become shorter.
 */
export async function* readAhead(file: FileHandle, size: number, shorter: () => Error): AsyncGenerator<Uint8Array> {
  const block = () => Buffer.allocUnsafe(Math.min(READ_BYTES, size));
  const blocks = size > READ_BYTES ? [block(), block()] : [block()];
  let asked = 0;
  const read = async (turn: number): Promise<Uint8Array> => {
    const into = blocks[turn % blocks.length] as Buffer;
    const { bytesRead } = await file.read(into, 0, Math.min(into.length, size - asked), asked);
    if (bytesRead === 0) throw shorter();
    asked += bytesRead;
    return into.subarray(0, bytesRead);
  };
  let next = size > 0 ? read(0) : undefined;
  try {
    for (let turn = 1; next; turn++) {
      const now = await next;
      next = asked < size ? read(turn) : undefined;
      // Its error is thrown where it is waited for.
      next?.catch(() => undefined);
      yield now;
    }
  } finally {
    await next?.catch(() => undefined);
  }
}

/** Writes pieces in order, some together, and gives their memory back. */
export class WriteBehind {
  #pieces: Uint8Array[] = [];
  #size = 0;
  #last: Promise<void> = Promise.resolve();

  constructor(private readonly file: FileHandle) {}

  /** Takes a piece, which its caller must not use afterwards. @throws what went wrong with pieces before. */
  async write(piece: Uint8Array): Promise<void> {
    this.#pieces.push(piece);
    this.#size += piece.length;
    if (this.#size >= WRITTEN_BYTES) await this.#next();
  }

  /** When all is written. @throws what went wrong. */
  async end(): Promise<void> {
    await this.#next();
    await this.#last;
  }

  /** Before the file is closed, when something else went wrong. */
  async settled(): Promise<void> {
    await this.#last.catch(() => undefined);
  }

  async #next(): Promise<void> {
    await this.#last;
    const [pieces, size] = [this.#pieces, this.#size];
    [this.#pieces, this.#size] = [[], 0];
    this.#last = this.#put(pieces, size);
    // Its error is thrown where it is waited for.
    this.#last.catch(() => undefined);
  }

  async #put(pieces: Uint8Array[], size: number): Promise<void> {
    const { bytesWritten } = await this.file.writev(pieces);
    // A disk that is nearly full takes a part; asked for the rest, it says why.
    if (bytesWritten < size) await this.file.writeFile(Buffer.concat(pieces).subarray(bytesWritten));
    for (const piece of pieces) release(piece);
  }
}

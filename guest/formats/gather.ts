/** Collects an exact number of bytes that may come in several pieces. For headers, so sizes are bounded by the caller. */
export class Collector {
  readonly bytes: Buffer;
  #have = 0;

  constructor(size: number) {
    this.bytes = Buffer.alloc(size);
  }

  get done(): boolean {
    return this.#have === this.bytes.length;
  }

  /** @returns how many bytes of `piece`, from `at`, were taken. */
  take(piece: Uint8Array, at: number): number {
    const part = piece.subarray(at, at + this.bytes.length - this.#have);
    this.bytes.set(part, this.#have);
    this.#have += part.length;
    return part.length;
  }
}

/** The last `size` bytes of what went through. */
export class Tail {
  #bytes = Buffer.alloc(0);

  constructor(private readonly size: number) {}

  add(piece: Uint8Array): void {
    this.#bytes =
      piece.length >= this.size
        ? Buffer.from(piece.subarray(piece.length - this.size))
        : Buffer.concat([this.#bytes, piece]).subarray(-this.size);
  }

  get bytes(): Buffer {
    return this.#bytes;
  }
}

/** The last bytes of an output, in bounded memory. */
export class OutputTail {
  readonly #pieces: Buffer[] = [];
  #held = 0;
  #total = 0;

  /** @param limit bytes kept. */
  constructor(private readonly limit: number) {}

  add(piece: Buffer): void {
    this.#total += piece.length;
    this.#pieces.push(piece.length > this.limit ? Buffer.from(piece.subarray(piece.length - this.limit)) : piece);
    this.#held += (this.#pieces.at(-1) as Buffer).length;
    while (this.#held - (this.#pieces[0] as Buffer).length >= this.limit) {
      this.#held -= (this.#pieces.shift() as Buffer).length;
    }
    // Many tiny pieces would cost far more than their bytes.
    if (this.#pieces.length > 4096) this.#pieces.splice(0, this.#pieces.length, Buffer.concat(this.#pieces));
  }

  /** Bytes that came in all. */
  get total(): number {
    return this.#total;
  }

  get bytes(): Buffer {
    const all = Buffer.concat(this.#pieces);
    return all.length > this.limit ? all.subarray(all.length - this.limit) : all;
  }
}

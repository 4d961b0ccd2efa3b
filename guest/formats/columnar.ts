/** Parquet and Arrow files: magic at both ends and a footer that fits. Their content is data; readers check the rest. */
import { Tail } from "./gather";
import { type Checker, refuse } from "./types";

/** `head` … footer ‖ i32le(length of footer) ‖ `tail`. */
class FramedChecker implements Checker {
  readonly #start: number[] = [];
  readonly #tail: Tail;
  #size = 0;

  constructor(
    private readonly name: string,
    private readonly head: Buffer,
    private readonly mark: Buffer,
  ) {
    this.#tail = new Tail(mark.length + 4);
  }

  write(piece: Uint8Array): void {
    if (this.#start.length < this.head.length) {
      this.#start.push(...piece.subarray(0, this.head.length - this.#start.length));
      this.#start.forEach((byte, i) => {
        if (byte !== this.head[i]) refuse(`not ${this.name}: other first bytes`);
      });
    }
    this.#tail.add(piece);
    this.#size += piece.length;
  }

  end(): void {
    const tail = this.#tail.bytes;
    if (this.#size < this.head.length + tail.length || tail.length < this.mark.length + 4) {
      refuse(`${this.name} is cut off`);
    }
    if (!tail.subarray(4).equals(this.mark)) refuse(`${this.name} is cut off: other last bytes`);
    const footer = tail.readInt32LE(0);
    if (footer <= 0 || footer > this.#size - this.head.length - this.mark.length - 4) {
      refuse(`${this.name} has a footer longer than itself`);
    }
  }
}

/** github.com/apache/parquet-format; encrypted footers (PARE) are refused. */
export class ParquetChecker extends FramedChecker {
  constructor() {
    super("a Parquet file", Buffer.from("PAR1"), Buffer.from("PAR1"));
  }
}

/** Arrow IPC file format, also Feather version 2; not the stream format, whose end cannot be seen. */
export class ArrowChecker extends FramedChecker {
  constructor() {
    super("an Arrow file", Buffer.from("ARROW1\0\0"), Buffer.from("ARROW1"));
  }
}

/** UTF-8 texts, and CSV on top of them. */
import { type Checker, refuse } from "./types";

/** UTF-8 without NUL. */
export class TextChecker implements Checker {
  readonly #decoder = new TextDecoder("utf-8", { fatal: true });

  write(piece: Uint8Array): void {
    if (piece.includes(0)) refuse("text has a NUL byte");
    this.#decode(piece, true);
  }

  end(): void {
    this.#decode(new Uint8Array(0), false);
  }

  #decode(piece: Uint8Array, stream: boolean): void {
    try {
      this.#decoder.decode(piece, { stream });
    } catch {
      refuse("text is not UTF-8");
    }
  }
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const CR = 0x0d;
const LF = 0x0a;

/** RFC 4180 quoting in UTF-8: a quote opens only at the beginning of a field and is closed. Rows may differ in length. */
export class CsvChecker implements Checker {
  readonly #text = new TextChecker();
  #state: "start" | "plain" | "quoted" | "closing" = "start";

  write(piece: Uint8Array): void {
    this.#text.write(piece);
    for (const byte of piece) this.#state = this.#next(byte);
  }

  end(): void {
    this.#text.end();
    if (this.#state === "quoted") refuse("CSV ends inside a quoted field");
  }

  #next(byte: number): "start" | "plain" | "quoted" | "closing" {
    if (this.#state === "quoted") return byte === QUOTE ? "closing" : "quoted";
    if (byte === COMMA || byte === LF || byte === CR) return "start";
    if (byte === QUOTE) return this.#state === "start" || this.#state === "closing" ? "quoted" : this.#state;
    if (this.#state === "closing") return refuse("CSV has text after a closing quote");
    return "plain";
  }
}

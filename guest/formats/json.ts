/** JSON (RFC 8259) as a byte automaton: a value of any size in constant memory, nesting bounded. */
import { TextChecker } from "./text";
import { type Checker, refuse } from "./types";

/** Deeper nesting makes recursive parsers crash. */
const MAX_DEPTH = 512;
const OBJECT = 1;
const ARRAY = 2;
const LITERALS: Readonly<Record<number, string>> = { 116: "rue", 102: "alse", 110: "ull" };

type State =
  | "value"
  | "valueOrEnd"
  | "keyOrEnd"
  | "key"
  | "colon"
  | "after"
  | "string"
  | "escape"
  | "unicode"
  | "literal"
  | "minus"
  | "zero"
  | "integer"
  | "point"
  | "fraction"
  | "exponent"
  | "exponentSign"
  | "exponentDigits";

const isSpace = (b: number): boolean => b === 0x20 || b === 0x0a || b === 0x0d || b === 0x09;
const isDigit = (b: number): boolean => b >= 0x30 && b <= 0x39;
const isHex = (b: number): boolean => isDigit(b) || (b >= 0x41 && b <= 0x46) || (b >= 0x61 && b <= 0x66);
const NUMBER_END = new Set<State>(["zero", "integer", "fraction", "exponentDigits"]);

class JsonMachine {
  #state: State = "value";
  readonly #stack: number[] = [];
  #inKey = false;
  #literal = "";
  #count = 0;
  /** Anything but white space was seen. */
  started = false;

  /** One value is complete and nothing is open. */
  get complete(): boolean {
    return this.#stack.length === 0 && (this.#state === "after" || NUMBER_END.has(this.#state));
  }

  reset(): void {
    this.#state = "value";
    this.#stack.length = 0;
    this.started = false;
  }

  write(piece: Uint8Array): void {
    for (let i = 0; i < piece.length; i++) {
      if (this.#state === "string") {
        // The common case, without a call per byte.
        while (i < piece.length) {
          const b = piece[i] as number;
          if (b === 0x22 || b === 0x5c || b < 0x20) break;
          i++;
        }
        if (i === piece.length) return;
      }
      this.#step(piece[i] as number);
    }
  }

  #step(b: number): void {
    switch (this.#state) {
      case "string":
        if (b === 0x22) this.#state = this.#inKey ? "colon" : "after";
        else if (b === 0x5c) this.#state = "escape";
        else refuse("JSON has a control character in a string");
        return;
      case "escape":
        if (b === 0x75) {
          this.#state = "unicode";
          this.#count = 4;
        } else if ('"\\/bfnrt'.includes(String.fromCharCode(b))) this.#state = "string";
        else refuse("JSON has an unknown escape");
        return;
      case "unicode":
        if (!isHex(b)) refuse("JSON has a broken escape");
        if (--this.#count === 0) this.#state = "string";
        return;
      case "literal":
        if (b !== this.#literal.charCodeAt(this.#count)) refuse("JSON has an unknown word");
        if (++this.#count === this.#literal.length) this.#state = "after";
        return;
      default:
        this.#outside(b);
    }
  }

  #outside(b: number): void {
    if (this.#number(b)) return;
    if (isSpace(b)) return;
    this.started = true;
    switch (this.#state) {
      case "valueOrEnd":
        if (b === 0x5d) this.#close(ARRAY);
        else this.#value(b);
        return;
      case "value":
        this.#value(b);
        return;
      case "keyOrEnd":
        if (b === 0x7d) this.#close(OBJECT);
        else this.#key(b);
        return;
      case "key":
        this.#key(b);
        return;
      case "colon":
        if (b !== 0x3a) refuse("JSON lacks a colon");
        this.#state = "value";
        return;
      default:
        this.#afterValue(b);
    }
  }

  #afterValue(b: number): void {
    const open = this.#stack.at(-1);
    if (b === 0x2c && open === OBJECT) this.#state = "key";
    else if (b === 0x2c && open === ARRAY) this.#state = "value";
    else if (b === 0x7d) this.#close(OBJECT);
    else if (b === 0x5d) this.#close(ARRAY);
    else refuse("JSON has something after a value");
  }

  #value(b: number): void {
    if (b === 0x7b) this.#open(OBJECT, "keyOrEnd");
    else if (b === 0x5b) this.#open(ARRAY, "valueOrEnd");
    else if (b === 0x22) {
      this.#inKey = false;
      this.#state = "string";
    } else if (b === 0x2d) this.#state = "minus";
    else if (b === 0x30) this.#state = "zero";
    else if (isDigit(b)) this.#state = "integer";
    else {
      const literal = LITERALS[b];
      if (!literal) refuse("JSON has something that is no value");
      this.#literal = literal as string;
      this.#count = 0;
      this.#state = "literal";
    }
  }

  #key(b: number): void {
    if (b !== 0x22) refuse("JSON has a key that is no string");
    this.#inKey = true;
    this.#state = "string";
  }

  #open(kind: number, next: State): void {
    if (this.#stack.length === MAX_DEPTH) refuse(`JSON is nested deeper than ${MAX_DEPTH}`);
    this.#stack.push(kind);
    this.#state = next;
  }

  #close(kind: number): void {
    if (this.#stack.pop() !== kind) refuse("JSON has a bracket that was not opened");
    this.#state = "after";
  }

  /** @returns true when the byte belongs to a number; the byte after one is handled as after any value. */
  #number(b: number): boolean {
    switch (this.#state) {
      case "minus":
        if (!isDigit(b)) refuse("JSON has a broken number");
        this.#state = b === 0x30 ? "zero" : "integer";
        return true;
      case "integer":
        if (isDigit(b)) return true;
        return this.#numberTail(b);
      case "zero":
        return this.#numberTail(b);
      case "point":
        if (!isDigit(b)) refuse("JSON has a broken number");
        this.#state = "fraction";
        return true;
      case "fraction":
        if (isDigit(b)) return true;
        return this.#exponentMark(b);
      case "exponent":
        if (b === 0x2b || b === 0x2d) this.#state = "exponentSign";
        else if (isDigit(b)) this.#state = "exponentDigits";
        else refuse("JSON has a broken number");
        return true;
      case "exponentSign":
        if (!isDigit(b)) refuse("JSON has a broken number");
        this.#state = "exponentDigits";
        return true;
      case "exponentDigits":
        if (isDigit(b)) return true;
        this.#state = "after";
        return false;
      default:
        return false;
    }
  }

  #numberTail(b: number): boolean {
    if (b === 0x2e) {
      this.#state = "point";
      return true;
    }
    return this.#exponentMark(b);
  }

  #exponentMark(b: number): boolean {
    if (b === 0x65 || b === 0x45) {
      this.#state = "exponent";
      return true;
    }
    this.#state = "after";
    return false;
  }
}

/** Exactly one value. */
export class JsonChecker implements Checker {
  readonly #text = new TextChecker();
  readonly #machine = new JsonMachine();

  write(piece: Uint8Array): void {
    this.#text.write(piece);
    this.#machine.write(piece);
  }

  end(): void {
    this.#text.end();
    if (!this.#machine.complete) refuse("JSON ends before its value does");
  }
}

/** One value per line; empty lines pass. */
export class JsonLinesChecker implements Checker {
  readonly #text = new TextChecker();
  readonly #machine = new JsonMachine();
  #line = 1;

  write(piece: Uint8Array): void {
    this.#text.write(piece);
    let from = 0;
    for (let at = piece.indexOf(0x0a); at >= 0; at = piece.indexOf(0x0a, from)) {
      this.#machine.write(piece.subarray(from, at));
      this.#endLine();
      this.#line++;
      from = at + 1;
    }
    this.#machine.write(piece.subarray(from));
  }

  end(): void {
    this.#text.end();
    this.#endLine();
  }

  #endLine(): void {
    if (this.#machine.started && !this.#machine.complete) refuse(`line ${this.#line} is not one JSON value`);
    this.#machine.reset();
  }
}

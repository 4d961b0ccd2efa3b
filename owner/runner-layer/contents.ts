/**
 * What a layer holds, file by file. The folder of a cache says of itself what is in it; a cache that others can write, or
 * that a job of a stranger filled, would put its own programs into every guest. So each file is held against the lock.
 */
import { createHash, type Hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { BLOCK, readHeader, TarRefusal } from "../../protocol/tar";

/** Path below `sealflow/` → SHA-256, hex; undefined: whatever it holds. */
export type Contents = ReadonlyMap<string, string | undefined>;

export interface Measured {
  readonly digest: string;
  readonly size: number;
  /** Why the files are not exactly the wanted ones; undefined: they are. */
  readonly problem: string | undefined;
}

const PREFIX = "sealflow/";
const ZERO = Buffer.alloc(BLOCK);

/** Reads a layer once. */
export async function measure(path: string, wanted: Contents): Promise<Measured> {
  const whole = createHash("sha256");
  const files = new Files(wanted);
  let size = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>) {
    whole.update(chunk);
    size += chunk.length;
    files.push(chunk);
  }
  return { digest: whole.digest("hex"), size, problem: files.end() };
}

class Files {
  private problem: string | undefined;
  private readonly left: Map<string, string | undefined>;
  /** Of a header that came in two chunks. */
  private part: Buffer = Buffer.alloc(0);
  private file: { readonly name: string; readonly hash: Hash; content: number; padding: number } | undefined;
  private ended = false;

  constructor(wanted: Contents) {
    this.left = new Map(wanted);
  }

  push(chunk: Buffer): void {
    for (let at = 0; at < chunk.length && this.problem === undefined; ) {
      if (this.file) at += this.content(this.file, chunk.subarray(at));
      else {
        const piece = chunk.subarray(at, at + BLOCK - this.part.length);
        this.part = this.part.length === 0 ? piece : Buffer.concat([this.part, piece]);
        at += piece.length;
        if (this.part.length < BLOCK) return;
        this.header(this.part);
        this.part = Buffer.alloc(0);
      }
    }
  }

  end(): string | undefined {
    if (this.problem !== undefined) return this.problem;
    if (this.file || this.part.length > 0 || !this.ended) return "is cut off";
    const [missing] = this.left.keys();
    return missing === undefined ? undefined : `has no ${missing}`;
  }

  private header(block: Buffer): void {
    if (block.equals(ZERO)) {
      this.ended = true;
      return;
    }
    if (this.ended) {
      this.problem = "goes on behind its end";
      return;
    }
    try {
      const { flag, name, size } = readHeader(block);
      if (flag === "5" && size === 0 && /^sealflow(\/(bin|lib))?\/?$/.test(name)) return;
      const below = name.startsWith(PREFIX) ? name.slice(PREFIX.length) : "";
      if (flag !== "0" || !this.left.has(below)) this.problem = "has an entry that is none of the runner layer";
      else this.begin(below, size);
    } catch (error) {
      if (!(error instanceof TarRefusal)) throw error;
      this.problem = error.message;
    }
  }

  private begin(name: string, size: number): void {
    const padding = (BLOCK - (size % BLOCK)) % BLOCK;
    this.file = { name, hash: createHash("sha256"), content: size, padding };
    if (size === 0) this.content(this.file, Buffer.alloc(0));
  }

  /** @returns how many bytes were of the file. */
  private content(file: NonNullable<Files["file"]>, bytes: Buffer): number {
    const own = Math.min(file.content, bytes.length);
    file.hash.update(bytes.subarray(0, own));
    file.content -= own;
    const filled = Math.min(file.padding, bytes.length - own);
    file.padding -= filled;
    if (file.content === 0 && file.padding === 0) {
      const sha256 = file.hash.digest("hex");
      const wanted = this.left.get(file.name);
      if (wanted !== undefined && wanted !== sha256) this.problem = `has another ${file.name} (SHA-256 ${sha256})`;
      this.left.delete(file.name);
      this.file = undefined;
    }
    return own + filled;
  }
}

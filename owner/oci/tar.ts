/**
 * Deterministic tar (POSIX.1-2001: ustar, with a pax header where ustar cannot say a name, GNU's form where it cannot say
 * a size). Written here and not by a library, because these bytes are inside every image digest and so inside every
 * identity: an update of a library must not change them. Owner 0:0, time 0, modes as given; pinned in
 * test/owner/oci/tar.test.ts.
 */
import { concat, utf8 } from "../../protocol/bytes";
import { BLOCK } from "../../protocol/tar";

export type TarEntry =
  | { readonly type: "directory"; readonly name: string }
  | { readonly type: "symlink"; readonly name: string; readonly target: string }
  | {
      readonly type: "file";
      readonly name: string;
      readonly executable: boolean;
      /** Bytes; `content` must yield as many. */
      readonly size: number;
      readonly content: () => AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
    };

const NAME_BYTES = 100;
/** Eleven octal digits. */
const MAX_SIZE = 8 ** 11 - 1;

/** The end of every archive. */
export const TAR_END = new Uint8Array(2 * BLOCK);

/** Entries in the given order, without the end of the archive. */
export async function* tarEntries(entries: Iterable<TarEntry>): AsyncGenerator<Uint8Array> {
  for (const entry of entries) {
    yield header(entry);
    if (entry.type !== "file") continue;
    let written = 0;
    for await (const chunk of entry.content()) {
      written += chunk.length;
      yield chunk;
    }
    if (written !== entry.size) throw new RangeError(`tar entry ${entry.name}: ${written} bytes, said ${entry.size}`);
    yield padding(written);
  }
}

export async function* tar(entries: Iterable<TarEntry>): AsyncGenerator<Uint8Array> {
  yield* tarEntries(entries);
  yield TAR_END;
}

/** Header and content of one small file. */
export const tarFile = (name: string, content: Uint8Array): Uint8Array =>
  concat(
    header({ type: "file", name, executable: false, size: content.length, content: () => [content] }),
    content,
    padding(content.length),
  );

const padding = (size: number): Uint8Array => new Uint8Array((BLOCK - (size % BLOCK)) % BLOCK);

const FLAG = { file: "0", symlink: "2", directory: "5" } as const;

function header(entry: TarEntry): Uint8Array {
  const name = entry.type === "directory" ? `${entry.name}/` : entry.name;
  const target = entry.type === "symlink" ? entry.target : "";
  const size = entry.type === "file" ? entry.size : 0;
  const records = [
    ...(fits(name) ? [] : [paxRecord("path", name)]),
    ...(fits(target) ? [] : [paxRecord("linkpath", target)]),
  ];
  const main = block({
    // Readers take the pax record; what stands here is only for those that know no pax.
    name: fits(name) ? name : entry.type === "directory" ? "PaxEntry/" : "PaxEntry",
    target: fits(target) ? target : "PaxTarget",
    mode: entry.type === "symlink" ? 0o777 : entry.type === "directory" || entry.executable ? 0o755 : 0o644,
    size,
    flag: FLAG[entry.type],
  });
  if (records.length === 0) return main;
  const pax = concat(...records);
  return concat(
    block({ name: "PaxHeader", target: "", mode: 0o644, size: pax.length, flag: "x" }),
    pax,
    padding(pax.length),
    main,
  );
}

/** ustar fields have no encoding: only printable ASCII is unambiguous. */
const fits = (text: string): boolean => text.length <= NAME_BYTES && /^[\x20-\x7e]*$/.test(text);

/** `<length> <key>=<value>\n`, where the length counts its own digits. */
function paxRecord(key: string, value: string): Uint8Array {
  const rest = utf8(` ${key}=${value}\n`);
  let digits = 1;
  while (String(rest.length + digits).length > digits) digits++;
  return concat(utf8(String(rest.length + digits)), rest);
}

interface Fields {
  readonly name: string;
  readonly target: string;
  readonly mode: number;
  readonly size: number;
  readonly flag: string;
}

function block({ name, target, mode, size, flag }: Fields): Uint8Array {
  const out = new Uint8Array(BLOCK);
  const put = (at: number, text: string) => out.set(utf8(text), at);
  const octal = (n: number, digits: number) => n.toString(8).padStart(digits, "0");
  put(0, name);
  put(100, octal(mode, 7));
  put(108, octal(0, 7)); // uid
  put(116, octal(0, 7)); // gid
  if (size <= MAX_SIZE) put(124, octal(size, 11));
  else out.set(base256(size), 124);
  put(136, octal(0, 11)); // time
  put(148, "        "); // the checksum counts its own field as spaces
  put(156, flag);
  put(157, target);
  put(257, "ustar");
  put(263, "00");
  put(329, octal(0, 7)); // device
  put(337, octal(0, 7));
  const sum = out.reduce((a, b) => a + b, 0);
  put(148, `${octal(sum, 6)}\0 `);
  return out;
}

/** GNU's form of a size beyond octal: there are readers that take none from a pax record. */
function base256(size: number): Uint8Array {
  const field = new Uint8Array(12);
  new DataView(field.buffer).setBigUint64(4, BigInt(size));
  field[0] = 0x80;
  return field;
}

/**
 * Reads headers of tar archives that others wrote, and takes only what every extractor reads alike: Go's archive/tar,
 * GNU tar, Python's tarfile, tar-stream, and the crates tar and tokio-tar, one of which unpacks images in a guest. They
 * differ in what they do with versions, prefixes, repeated or odd pax records, sparse files, global headers and sizes, so
 * an archive with two readings could show one name to whoever checks it and another to whoever unpacks it. Written here
 * and not by a library, because libraries read such archives in their own way instead of refusing them.
 * Source of the forms: POSIX.1-2024 pax, "ustar Interchange Format" and "pax Interchange Format"; GNU tar manual, "Basic
 * Tar Format".
 */
import { buffer } from "./bytes";
import { quoted } from "./quoted";

export const BLOCK = 512;
/** Longest path that Linux opens, bytes, without the closing zero. */
export const MAX_PATH = 4095;

/** Why an archive is not taken; completes "<archive> ". */
export class TarRefusal extends Error {
  /**
   * @param what without a byte of the archive, which may be secret.
   * @param found in it.
   */
  constructor(
    readonly what: string,
    found?: string,
  ) {
    super(found === undefined ? what : `${what}: ${quoted(found)}`);
  }
}

export interface RawHeader {
  /** Type flag, `0` to `7` or one of EXTENSIONS; the zero byte of the oldest form is `0`. */
  readonly flag: string;
  /** Of the content, bytes. */
  readonly size: number;
  /** As far as the header itself says them. */
  readonly name: string;
  readonly linkname: string;
}

/** What comes before an entry and belongs to it. */
export interface Extension {
  readonly path?: string;
  readonly linkpath?: string;
  readonly size?: number;
}

export const EXTENSIONS: ReadonlySet<string> = new Set(["x", "L", "K"]);
const ENTRIES: ReadonlySet<string> = new Set(["0", "1", "2", "3", "4", "5", "6", "7"]);
const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const POSIX = "ustar\x0000";
const GNU = "ustar  \0";
/** Bytes of the fields that are read: begin and end. */
const FIELD = {
  name: [0, 100],
  mode: [100, 108],
  owner: [108, 116],
  group: [116, 124],
  size: [124, 136],
  time: [136, 148],
  checksum: [148, 156],
  linkname: [157, 257],
  magic: [257, 265],
  major: [329, 337],
  minor: [337, 345],
  prefix: [345, 500],
} as const;
/** Numbers that nobody needs here. Where one is none, some readers stop, or take the archive to end before it. */
const OTHERS = ["mode", "owner", "group", "time", "major", "minor"] as const;

/** @param block 512 bytes. @throws TarRefusal. */
export function readHeader(block: Uint8Array): RawHeader {
  const raw = (field: keyof typeof FIELD): Uint8Array => block.subarray(...FIELD[field]);
  if (number(raw("checksum"), "checksum") !== checksumOf(block))
    throw new TarRefusal("is no intact tar archive (a header's checksum is wrong)");
  for (const other of OTHERS) number(raw(other), other);
  const magic = latin1(raw("magic"));
  if (magic !== POSIX && magic !== GNU) throw new TarRefusal("has a header that is neither of POSIX nor of GNU tar");
  const flag = String.fromCharCode(block[156] || 0x30);
  if (!ENTRIES.has(flag) && !EXTENSIONS.has(flag))
    throw new TarRefusal("has a header of a type that extractors read differently", flag);
  // GNU's own variant uses the field for other things, and some take it for a prefix all the same.
  if (magic === GNU && raw("prefix").some((byte) => byte !== 0))
    throw new TarRefusal("has a name that is read in two ways");
  const prefix = magic === POSIX ? text(raw("prefix"), "prefix") : "";
  const name = text(raw("name"), "name");
  return {
    flag,
    size: number(raw("size"), "size"),
    name: prefix === "" ? name : `${prefix}/${name}`,
    linkname: text(raw("linkname"), "link's target"),
  };
}

/** @param flag of EXTENSIONS. @throws TarRefusal. */
export function readExtension(flag: string, content: Uint8Array): Extension {
  if (flag === "x") return pax(content);
  // One zero byte ends it; readers differ in what they do with more.
  const end = content.at(-1) === 0 ? content.length - 1 : content.length;
  const said = given(content.subarray(0, end), "long name");
  return flag === "L" ? { path: said } : { linkpath: said };
}

/** Records `<length> <key>=<value>\n`, where the length counts all of it. */
function pax(content: Uint8Array): Extension {
  const found = new Map<string, Uint8Array>();
  for (let at = 0; at < content.length; ) {
    const said = /^([1-9]\d{0,6}) ([^=\0\n]+)=/.exec(latin1(content.subarray(at, at + 512)));
    const [start = "", digits = "", key = ""] = said ?? [];
    const end = at + Number(digits);
    if (start === "" || end > content.length || end < at + start.length + 1 || content[end - 1] !== 0x0a)
      throw new TarRefusal("has a malformed pax record");
    if (found.has(key)) throw new TarRefusal("has a pax record that is read in two ways, since it is there twice", key);
    if (key.startsWith("GNU.sparse.")) throw new TarRefusal("has a sparse file, which extractors read differently");
    found.set(key, content.subarray(at + start.length, end - 1));
    at = end;
  }
  const [path, linkpath, size] = ["path", "linkpath", "size"].map((key) => found.get(key));
  return {
    ...(path ? { path: given(path, "path") } : {}),
    ...(linkpath ? { linkpath: given(linkpath, "linkpath") } : {}),
    ...(size ? { size: decimal(latin1(size)) } : {}),
  };
}

const latin1 = (bytes: Uint8Array): string => buffer(bytes).toString("latin1");

/** Text of a field: up to its first zero byte. */
function text(field: Uint8Array, what: string): string {
  const end = field.indexOf(0);
  return whole(end < 0 ? field : field.subarray(0, end), what);
}

/** A name before an entry. An empty one is a name to some, and to others none, so that the header's own counts. */
function given(bytes: Uint8Array, what: string): string {
  if (bytes.length === 0)
    throw new TarRefusal(`has an empty ${what} before an entry, which extractors read differently`);
  return whole(bytes, what);
}

function whole(bytes: Uint8Array, what: string): string {
  if (bytes.includes(0)) throw new TarRefusal(`has a ${what} with a zero byte in it`);
  try {
    return UTF8.decode(bytes);
  } catch {
    throw new TarRefusal(`has a ${what} that is not UTF-8`);
  }
}

/** Octal digits, or GNU's base 256: 0x80 and the number, big-endian. */
function number(field: Uint8Array, what: string): number {
  if (field[0] === 0x80) {
    const value = field.subarray(1).reduce((sum, byte) => sum * 256 + byte, 0);
    if (Number.isSafeInteger(value)) return value;
  }
  const digits = /^ *([0-7]*)[ \0]*$/.exec(latin1(field))?.[1];
  if (digits === undefined) throw new TarRefusal(`has a header whose ${what} is no number that all extractors read`);
  return digits === "" ? 0 : Number.parseInt(digits, 8);
}

function decimal(said: string): number {
  const value = /^(0|[1-9]\d{0,15})$/.test(said) ? Number(said) : Number.NaN;
  if (!Number.isSafeInteger(value)) throw new TarRefusal("has a pax record with a size that is no number");
  return value;
}

/** The field itself counts as spaces. */
function checksumOf(block: Uint8Array): number {
  const [from, to] = FIELD.checksum;
  let sum = 0x20 * (to - from);
  for (let i = 0; i < BLOCK; i++) if (i < from || i >= to) sum += block[i] as number;
  return sum;
}

/** Archives with changed headers: what we take, Python's tarfile reads as we do, or refuses. */
import { execFileSync, spawnSync } from "node:child_process";
import { linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LayerHeaders } from "../../owner/image/headers";

const COUNT = 3000;
const BLOCK = 512;
/** Begin and length of fields that are read, and of one that is not. */
const FIELDS = [
  [0, 100],
  [100, 8],
  [124, 12],
  [148, 8],
  [156, 1],
  [157, 100],
  [257, 8],
  [345, 155],
] as const;
/** Bytes that mean something: ends, digits, marks, slashes, types, separators of pax records. */
const BYTES = Buffer.from("\0\0\0 0172x5LKgS/.=\n\x80\x81\xc3\xff", "latin1");

type Member = [name: string, type: string, link: string];

const missing = spawnSync("python3", ["--version"]).status === 0 ? undefined : "no python3 on this machine";
if (missing) console.log(`skipped: archives beside Python's tarfile: ${missing}`);

(missing ? describe.skip : describe)("changed archives", () => {
  let dir: string;
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), "sf-tar-"));
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  it("that are taken have the same members for Python's tarfile", () => {
    const seeds = archives(join(dir, "source"));
    // The same every time: whoever sees a failure can have it again.
    let state = 1;
    const pick = (n: number): number => {
      state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
      return (state >>> 8) % n;
    };
    const taken: { readonly file: string; readonly members: Member[] }[] = [];
    for (let n = 0; n < COUNT; n++) {
      const archive = Buffer.from(seeds[pick(seeds.length)] as Buffer);
      for (let changes = pick(3); changes >= 0; changes--) change(archive, pick);
      const members = membersOf(archive);
      if (!members) continue;
      const file = join(dir, `${n}.tar`);
      writeFileSync(file, archive);
      taken.push({ file, members });
    }
    const input = taken.map(({ file }) => `${file}\n`).join("");
    const found = execFileSync("python3", [join(__dirname, "tar_names.py")], { input, maxBuffer: 1e9 });
    const theirs = JSON.parse(found.toString()) as (Member[] | null)[];
    const read = taken.filter((_, i) => theirs[i]);
    const others = taken.flatMap(({ file, members }, i) => {
      const their = theirs[i];
      const [ours, other] = [members, their ?? members].map((all) => JSON.stringify(compared(all)));
      return ours === other ? [] : [{ file, ours, other }];
    });
    expect(others).toEqual([]);
    expect(taken.length).toBeLessThan(COUNT);
    expect(read.length).toBeGreaterThan(COUNT / 6);
  }, 120_000);
});

/** Of GNU tar, in every form that it writes and we take. */
function archives(source: string): Buffer[] {
  const deep = join(source, "sub", "l".repeat(60));
  mkdirSync(deep, { recursive: true });
  writeFileSync(join(source, "a"), "hello");
  writeFileSync(join(source, "ü"), "");
  writeFileSync(join(deep, "n".repeat(90)), "x".repeat(700));
  linkSync(join(source, "a"), join(source, "h"));
  symlinkSync("a", join(source, "s"));
  symlinkSync("t".repeat(130), join(source, "long"));
  return ["gnu", "posix", "ustar"].map((format) => {
    const names = format === "ustar" ? ["a", "h", "s", "ü", "sub"] : ["."];
    return execFileSync("tar", ["-C", source, `--format=${format}`, "-cf", "-", ...names], { maxBuffer: 1e8 });
  });
}

/** Some bytes of some field, or any byte at all; checksums stay right, mostly. */
function change(archive: Buffer, pick: (n: number) => number): void {
  const block = pick(archive.length / BLOCK) * BLOCK;
  const [begin, length] = pick(5) === 0 ? [0, BLOCK] : (FIELDS[pick(FIELDS.length)] as (typeof FIELDS)[number]);
  const at = block + begin + pick(length);
  for (let i = at; i <= at + pick(3) && i < archive.length; i++) archive[i] = BYTES[pick(BYTES.length)] as number;
  if (begin === 148 && pick(2) === 0) return;
  archive.fill(0x20, block + 148, block + 156);
  const sum = archive.subarray(block, block + BLOCK).reduce((a, b) => a + b, 0);
  archive.write(`${sum.toString(8).padStart(6, "0")}\0 `, block + 148, "latin1");
}

/** undefined for one that is refused. */
function membersOf(archive: Buffer): Member[] | undefined {
  const members: Member[] = [];
  const headers = new LayerHeaders(
    ({ name, type, linkname }) => void members.push([name, type as string, linkname ?? ""]),
    "layer",
  );
  try {
    headers.write(archive);
    headers.end();
    return members;
  } catch {
    return undefined;
  }
}

/** Python leaves slashes at the end of names out, and gives targets to members that are no links. */
const compared = (members: Member[]): Member[] =>
  members.map(([name, type, link]) => [name.replace(/\/+$/, ""), type, type.endsWith("link") ? link : ""]);

/**
 * A local folder as tar entries. What is inside depends on names, contents, links and executable bits alone: sorted by
 * the bytes of the names, folders before what they hold.
 *
 * Left out: `.git`, `.sealflow` (keys live there), `.sealflowignore` and what it lists in the syntax of .gitignore.
 * Everything else is content, node_modules too.
 */
import type { Dirent, Stats } from "node:fs";
import { lstat, readdir, readFile, readlink, realpath, stat } from "node:fs/promises";
import * as path from "node:path";
import ignore, { type Ignore } from "ignore";
import { pathText, quoted } from "../../protocol/quoted";
import { MAX_PATH } from "../../protocol/tar";
import { SourceError } from "./errors";
import { readRegular } from "./read";
import type { TarEntry } from "./tar";

export const IGNORE_FILE = ".sealflowignore";
const LEFT_OUT = new Set([".git", ".sealflow", IGNORE_FILE]);
/** Layers delete what is below them with entries of such names. */
const WHITEOUT = ".wh.";
/** More problems than these are only counted. */
const SHOWN = 20;

/**
 * @param prefix where the folder goes inside the image, such as `app`; "" is its root.
 * @param parents whether the folders above are entries too.
 * @throws SourceError SOURCE_MISSING or SOURCE_ENTRY, with all problems.
 */
export async function folderEntries(folder: string, prefix: string, parents: boolean): Promise<TarEntry[]> {
  await mustBeFolder(folder);
  const scan = new Scan(folder, await realpath(folder), prefix, await ignored(folder));
  await scan.folder("");
  scan.finish();
  const above = prefix === "" ? [] : prefix.split("/").map((_, i, parts) => parts.slice(0, i + 1).join("/"));
  const folders = (parents ? above : above.slice(-1)).map((name): TarEntry => ({ type: "directory", name }));
  return [...folders, ...scan.entries];
}

async function mustBeFolder(folder: string): Promise<void> {
  let found: Stats;
  try {
    found = await stat(folder);
  } catch (cause) {
    throw new SourceError("SOURCE_MISSING", `${pathText(folder)}: no such folder. Correct the path of the image`, {
      cause,
    });
  }
  if (!found.isDirectory())
    throw new SourceError("SOURCE_MISSING", `${pathText(folder)}: is no folder. Name the folder around it`);
}

async function ignored(folder: string): Promise<Ignore> {
  const rules = ignore();
  try {
    rules.add(await readFile(path.join(folder, IGNORE_FILE), "utf8"));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  return rules;
}

class Scan {
  readonly entries: TarEntry[] = [];
  readonly #problems: string[] = [];

  constructor(
    readonly root: string,
    readonly real: string,
    readonly prefix: string,
    readonly rules: Ignore,
  ) {}

  /** @param at path below the root, "" for the root itself. */
  async folder(at: string): Promise<void> {
    let found: Dirent<Buffer>[];
    try {
      found = await readdir(path.join(this.root, at), { withFileTypes: true, encoding: "buffer" });
    } catch (error) {
      this.#problems.push(`${pathText(at || ".")}: cannot be read (${(error as NodeJS.ErrnoException).code})`);
      return;
    }
    found.sort((a, b) => Buffer.compare(a.name, b.name));
    for (const { name } of found) await this.#entry(at, name);
  }

  /** @throws SourceError SOURCE_ENTRY when anything was wrong. */
  finish(): void {
    const count = this.#problems.length;
    if (count === 0) return;
    const more = count > SHOWN ? `\n  and ${count - SHOWN} more` : "";
    const list = this.#problems.slice(0, SHOWN).map((problem) => `\n  ${problem}`);
    throw new SourceError(
      "SOURCE_ENTRY",
      `${pathText(this.root)}: cannot become an image. Remove these, or list them in ${IGNORE_FILE}:${list.join("")}${more}`,
    );
  }

  async #entry(folder: string, raw: Buffer): Promise<void> {
    const name = textOf(raw);
    if (name === undefined) {
      this.#problems.push(
        `${pathText(folder || ".")}: holds a name that is not UTF-8 (${quoted(raw.toString("latin1"), 60)})`,
      );
      return;
    }
    if (LEFT_OUT.has(name)) return;
    const at = folder === "" ? name : `${folder}/${name}`;
    const file = path.join(this.root, at);
    const found = await lstat(file);
    if (this.rules.ignores(found.isDirectory() ? `${at}/` : at)) return;
    const inside = this.prefix === "" ? at : `${this.prefix}/${at}`;
    if (Buffer.byteLength(inside) > MAX_PATH) {
      this.#problems.push(`${pathText(at, 80)}: its path in the image is longer than ${MAX_PATH} bytes`);
    } else if (name.startsWith(WHITEOUT)) {
      this.#problems.push(`${pathText(at)}: names that begin with ${WHITEOUT} delete files in images`);
    } else if (found.isDirectory()) {
      this.entries.push({ type: "directory", name: inside });
      await this.folder(at);
    } else if (found.isSymbolicLink()) await this.#link(at, file, inside);
    else if (found.isFile()) {
      const { size, mode } = found;
      const content = () => readRegular(file, size);
      this.entries.push({ type: "file", name: inside, executable: (mode & 0o111) !== 0, size, content });
    } else this.#problems.push(`${pathText(at)}: is ${kindOf(found)}, only files, folders and links can be sealed`);
  }

  /** Links stay links when they stay inside: by their text, and by where they lead on this machine. */
  async #link(at: string, file: string, inside: string): Promise<void> {
    const raw = await readlink(file, { encoding: "buffer" });
    const target = textOf(raw);
    if (target === undefined) {
      this.#problems.push(`${pathText(at)}: its target is not UTF-8`);
      return;
    }
    const byText = path.posix.normalize(path.posix.join(path.posix.dirname(at), target));
    const outside =
      path.posix.isAbsolute(target) ||
      isAbove(byText) ||
      isAbove(path.relative(this.real, await leadsTo(file, this.real)));
    if (outside) this.#problems.push(`${pathText(at)}: is a link to ${quoted(target)}, outside the folder`);
    else this.entries.push({ type: "symlink", name: inside, target });
  }
}

/** A link to nothing leads nowhere else. */
async function leadsTo(file: string, otherwise: string): Promise<string> {
  try {
    return await realpath(file);
  } catch {
    return otherwise;
  }
}

const isAbove = (relative: string): boolean => relative === ".." || relative.startsWith("../");

function textOf(raw: Buffer): string | undefined {
  const text = raw.toString("utf8");
  return Buffer.from(text, "utf8").equals(raw) ? text : undefined;
}

function kindOf(found: Stats): string {
  if (found.isSocket()) return "a socket";
  if (found.isFIFO()) return "a named pipe";
  if (found.isBlockDevice() || found.isCharacterDevice()) return "a device";
  return "of an unknown kind";
}

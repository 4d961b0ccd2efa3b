/**
 * Tar with the same bytes every time: entries sorted by path, owner 0:0, time 0, modes 0755 or 0644.
 * Written by tar-stream (ustar, pax headers for long names).
 */
import { createReadStream } from "node:fs";
import { lstat, readdir, readlink } from "node:fs/promises";
import { join, posix, sep } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { type Header, type Pack, pack } from "tar-stream";
import { ImageError } from "./errors";

export interface FolderEntry {
  /** Relative to the folder, with `/`. */
  readonly path: string;
  readonly kind: "file" | "directory" | "symlink";
  readonly size: number;
  readonly executable: boolean;
  readonly target?: string;
}

/** Names that never belong into an image. */
const IGNORED = new Set([".git", ".DS_Store", ".sealflow"]);
const EPOCH = new Date(0);

/**
 * Everything in a folder, sorted.
 * @throws ImageError SOURCE_MISSING, or SOURCE_ENTRY with every entry that cannot be sealed.
 */
export async function listFolder(folder: string): Promise<FolderEntry[]> {
  const entries: FolderEntry[] = [];
  const problems: string[] = [];
  const walk = async (relative: string): Promise<void> => {
    const names = await readdir(join(folder, relative));
    for (const name of names) {
      if (IGNORED.has(name)) continue;
      const path = relative === "" ? name : `${relative}/${name}`;
      const stat = await lstat(join(folder, path));
      const executable = (stat.mode & 0o100) !== 0;
      if (stat.isDirectory()) {
        entries.push({ path, kind: "directory", size: 0, executable: true });
        await walk(path);
      } else if (stat.isFile()) entries.push({ path, kind: "file", size: stat.size, executable });
      else if (stat.isSymbolicLink()) {
        const target = (await readlink(join(folder, path))).split(sep).join("/");
        if (posix.isAbsolute(target) || posix.normalize(posix.join(posix.dirname(path), target)).startsWith("..")) {
          problems.push(`${path}: a link to ${target}, outside the folder; copy the file instead`);
        } else entries.push({ path, kind: "symlink", size: 0, executable: false, target });
      } else problems.push(`${path}: neither a file, a folder nor a link; remove it`);
    }
  };
  try {
    await walk("");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    throw new ImageError("SOURCE_MISSING", `image folder ${folder} does not exist; check the path`);
  }
  if (entries.length === 0 && problems.length === 0) {
    throw new ImageError("SOURCE_MISSING", `image folder ${folder} is empty; put the step's code there`);
  }
  if (problems.length > 0) throw new ImageError("SOURCE_ENTRY", `image folder ${folder}: ${problems.join("; ")}`);
  return entries.sort((a, b) => (a.path < b.path ? -1 : 1));
}

const header = (name: string, rest: Partial<Header>): Partial<Header> & Pick<Header, "name"> => ({
  name,
  uid: 0,
  gid: 0,
  uname: "",
  gname: "",
  mtime: EPOCH,
  ...rest,
});

export interface ExtraFile {
  /** Path inside the image, without a leading slash. */
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly mode?: number;
}

/** @param prefix folder inside the image, `/app`. @param extra files written first, sorted by the caller. */
export function packFolder(
  folder: string,
  entries: readonly FolderEntry[],
  prefix: string,
  extra: readonly ExtraFile[] = [],
): Readable {
  const tar = pack();
  const base = prefix.replace(/^\/+|\/+$/g, "");
  const fill = async (): Promise<void> => {
    for (const file of extra) await addBytes(tar, file);
    for (const dir of parents(base)) tar.entry(header(`${dir}/`, { type: "directory", mode: 0o755 }));
    for (const entry of entries) {
      const name = base === "" ? entry.path : `${base}/${entry.path}`;
      if (entry.kind === "directory") tar.entry(header(`${name}/`, { type: "directory", mode: 0o755 }));
      else if (entry.kind === "symlink") {
        tar.entry(header(name, { type: "symlink", linkname: entry.target ?? "", mode: 0o777 }));
      } else await addFile(tar, name, join(folder, entry.path), entry.size, entry.executable ? 0o755 : 0o644);
    }
    tar.finalize();
  };
  fill().catch((error: unknown) => tar.destroy(error as Error));
  return asReadable(tar);
}

/** A tar of a few small files, in the order given. */
export function packFiles(files: readonly ExtraFile[]): Readable {
  const tar = pack();
  const fill = async (): Promise<void> => {
    const made = new Set<string>();
    for (const file of files) {
      for (const dir of parents(posix.dirname(file.path))) {
        if (made.has(dir)) continue;
        made.add(dir);
        tar.entry(header(`${dir}/`, { type: "directory", mode: 0o755 }));
      }
      await addBytes(tar, file);
    }
    tar.finalize();
  };
  fill().catch((error: unknown) => tar.destroy(error as Error));
  return asReadable(tar);
}

export const addBytes = (tar: Pack, { path, bytes, mode = 0o644 }: ExtraFile): Promise<void> =>
  new Promise((resolve, reject) => {
    tar.entry(header(path, { size: bytes.length, mode }), Buffer.from(bytes), (error) =>
      error ? reject(error) : resolve(),
    );
  });

export async function addFile(tar: Pack, name: string, path: string, size: number, mode: number): Promise<void> {
  const entry = tar.entry(header(name, { size, mode }));
  // A file that grows meanwhile is cut at the size announced; one that shrinks ends in an error of tar-stream.
  const input = size === 0 ? undefined : createReadStream(path, { end: size - 1 });
  if (input) await pipeline(input, entry);
  else entry.end(Buffer.alloc(0));
}

/** `a/b/c` → `a`, `a/b`, `a/b/c`. */
function parents(path: string): string[] {
  if (path === "" || path === ".") return [];
  const parts = path.split("/");
  return parts.map((_, i) => parts.slice(0, i + 1).join("/"));
}

/** tar-stream's own streams are not Node's; this one is, and ends with the tar's error. */
export const asReadable = (tar: Pack): Readable =>
  Readable.from(tar as unknown as AsyncIterable<Buffer>, { objectMode: false });

/**
 * Unpacks a layer below a root. The tar is hostile: no name leaves the root, no write goes through a link, no device is
 * made. Whiteouts of OCI layers are honoured.
 */
import { constants } from "node:fs";
import { chmod, link, lstat, mkdir, open, readdir, rm, symlink } from "node:fs/promises";
import { dirname, join, posix } from "node:path";
import type { Readable } from "node:stream";
import { finished } from "node:stream/promises";
import { extract, type Header } from "tar-stream";
import { GuestError } from "./errors";

const WHITEOUT = ".wh.";
const OPAQUE = ".wh..wh..opq";
/** What whiteouts name when they mean a folder itself, or the one above, which may be outside the root. */
const NO_NAMES = new Set(["", ".", ".."]);
const bad = (what: string): GuestError => new GuestError("IMAGE", `image layer: ${what}`);

/** @param reserved says of a path (such as `sealflow/runner.js`) that this layer must not touch it. */
export async function unpackTar(tar: Readable, root: string, reserved: (path: string) => boolean): Promise<void> {
  const reader = extract();
  tar.on("error", (error) => reader.destroy(error));
  const fed = finished(tar.pipe(reader), { readable: false }).catch(() => undefined);
  try {
    for await (const entry of reader) {
      await place(entry.header, entry as unknown as Readable, root, reserved);
      entry.resume();
    }
  } catch (error) {
    if (error instanceof GuestError) throw error;
    throw new GuestError("IMAGE", `image layer: cannot be unpacked: ${(error as Error).message}`, { cause: error });
  }
  await fed;
}

async function place(h: Header, body: Readable, root: string, reserved: (path: string) => boolean): Promise<void> {
  const path = cleanPath(h.name);
  if (path === "") return;
  if (reserved(path)) throw bad(`${path} belongs to the runner`);
  const target = join(root, path);
  await makeParents(root, path);
  const name = posix.basename(path);
  if (name === OPAQUE) return emptyFolder(dirname(target));
  if (name.startsWith(WHITEOUT)) {
    const gone = name.slice(WHITEOUT.length);
    if (NO_NAMES.has(gone)) throw bad(`${JSON.stringify(path)} deletes something without a name`);
    return rm(join(dirname(target), gone), { recursive: true, force: true });
  }
  const there = await lstat(target).catch(absent);
  if (there && !(there.isDirectory() && h.type === "directory")) await rm(target, { recursive: true, force: true });
  const mode = (h.mode ?? 0o644) & 0o777;
  switch (h.type) {
    case "directory":
      if (!there?.isDirectory()) await mkdir(target);
      await chmod(target, mode | 0o700);
      return;
    case "file":
    case "contiguous-file":
      return writeFile(target, body, mode);
    case "symlink":
      // Its target is only ever followed inside the container's root.
      return symlink(h.linkname ?? "", target);
    case "link": {
      const from = cleanPath(h.linkname ?? "");
      await noLinksAbove(root, from);
      const source = join(root, from);
      if (!(await lstat(source).catch(absent))?.isFile()) throw bad(`${path}: hard link to something that is no file`);
      return link(source, target);
    }
    default:
      throw bad(`${path}: a ${h.type} cannot be part of an image`);
  }
}

async function writeFile(target: string, body: Readable, mode: number): Promise<void> {
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
  const file = await open(target, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  try {
    for await (const chunk of body) await file.writeFile(chunk as Buffer);
    await file.chmod(mode);
  } finally {
    await file.close();
  }
}

/** Relative, without `.` and empty parts. @throws GuestError for `..` and NUL. */
function cleanPath(name: string): string {
  const parts = name.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.includes("..") || name.includes("\0")) throw bad(`"${name.slice(0, 100)}" leaves the image`);
  return parts.join("/");
}

/** Folders above `path`, made when missing; anything but a real folder on the way is refused. */
async function makeParents(root: string, path: string): Promise<void> {
  const parts = path.split("/").slice(0, -1);
  for (let i = 1; i <= parts.length; i++) {
    const at = join(root, ...parts.slice(0, i));
    const kind = await lstat(at).catch(absent);
    if (!kind) await mkdir(at, { mode: 0o755 });
    else if (!kind.isDirectory()) throw bad(`${path}: leads through something that is no folder`);
  }
}

async function noLinksAbove(root: string, path: string): Promise<void> {
  const parts = path.split("/").slice(0, -1);
  for (let i = 1; i <= parts.length; i++) {
    if (!(await lstat(join(root, ...parts.slice(0, i))).catch(absent))?.isDirectory()) {
      throw bad(`${path}: leads through something that is no folder`);
    }
  }
}

async function emptyFolder(folder: string): Promise<void> {
  for (const name of await readdir(folder)) await rm(join(folder, name), { recursive: true, force: true });
}

function absent(error: NodeJS.ErrnoException): undefined {
  if (error.code !== "ENOENT") throw error;
  return undefined;
}

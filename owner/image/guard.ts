/**
 * Keeps the files of the runner as they are: user layers lie above the runner layer, so an entry of theirs could replace
 * or delete it, and a link could make the guest mount over it: a runtime follows links of the image to the places of its
 * mounts (/etc/hosts, /dev and so on), whose files the host writes.
 *
 * Every entry is resolved through the links of all user layers so far. Besides, none may lie behind a link: guests unpack
 * each layer into a folder of its own, where a link of a layer below is not there, so its path has two readings.
 */
import * as path from "node:path";
import { quoted } from "../../protocol/quoted";
import { ImageError } from "./errors";
import { SALT_FILE } from "./salt";

/** What a tar header says, as far as it matters here. */
export interface EntryHeader {
  readonly name: string;
  readonly type: string;
  readonly linkname?: string | null | undefined;
}

/** Top folders of the runner layer and the owner-key layer. */
const RESERVED = new Set(["sealflow", "sealflow-owner"]);
const WHITEOUT = ".wh.";
const OPAQUE = ".wh..wh..opq";
/** What follows the prefix in whiteouts that delete the folder itself, or the one above, where an extractor takes them. */
const NO_NAMES = new Set(["", ".", ".."]);
/** Names libraries that the loader puts into every process, the runner's too: in no folder, since links may lead to it. */
const PRELOAD = "ld.so.preload";
/**
 * Top folders where guests mount, or mount files. As links they could lead elsewhere when that is done than when the
 * runner reads them, so that /proc were the image's; other runtimes refuse such images themselves.
 */
const MOUNTED = new Set(["dev", "etc", "proc", "sys"]);
/** As many links as Linux follows. */
const MAX_LINKS = 40;

export class RunnerGuard {
  /** By the place where a link ends up when links are followed. Never forgotten. */
  readonly #links = new Map<string, string>();
  /** By path as written: links that no later layer has put something else in the place of. */
  readonly #standing = new Map<string, { readonly text: string; readonly layer: number }>();
  #layers = 0;

  /**
   * The next layer, above those before.
   * @param where names it in errors.
   * @returns what gets its entries, in order; throws ImageError IMAGE_RESERVED or IMAGE_LAYER.
   */
  layer(where: string): (header: EntryHeader) => void {
    const layer = this.#layers++;
    return (header) => this.#check(header, layer, `${where}: entry ${quoted(header.name)}`);
  }

  #check(header: EntryHeader, layer: number, at: string): void {
    const parts = partsOf(header.name, at);
    const name = parts.pop();
    if (name === undefined) {
      if (header.type !== "directory") throw new ImageError("IMAGE_LAYER", `${at} has no name`);
      return;
    }
    const parent = this.#resolve(parts, at);
    if (name === OPAQUE) {
      if (parent.length === 0) throw reserved(at, "deletes all layers below");
      refuseReserved(parent, at, "deletes");
      this.#mustLieInFolders(parts, at);
      return;
    }
    const deletes = name.startsWith(WHITEOUT);
    const last = deletes ? name.slice(WHITEOUT.length) : name;
    const target = [...parent, last];
    refuseReserved(target, at, deletes ? "deletes" : "replaces");
    this.#mustLieInFolders(parts, at);
    if (deletes && NO_NAMES.has(last)) throw new ImageError("IMAGE_LAYER", `${at} deletes something without a name`);
    if (!deletes && target.length === 1 && name === SALT_FILE)
      throw new ImageError("IMAGE_LAYER", `${at} has the name of an entry that sealing adds. Rename it`);
    if (!deletes && name === PRELOAD) throw preloads(at);
    const written = [...parts, name].join("/");
    const texts = header.type === "symlink" ? [header.linkname ?? ""] : this.#linked(header, at);
    const place = target.join("/");
    if (texts.length > 0 && (MOUNTED.has(place) || MOUNTED.has(written)))
      throw new ImageError("IMAGE_RESERVED", `${at} is a link where guests mount. Make it a folder`);
    for (const text of texts) {
      for (const folder of [parts, parent]) refuseLinkToRunner(text, folder, at);
      // Something else in a link's place does not make us forget it: some extractors would still follow it.
      this.#links.set(place, text);
      this.#standing.set(written, { text, layer });
    }
    // In its own layer a link stays: extractors differ in what they do with a folder that comes over it.
    const below = this.#standing.get(written);
    if (texts.length === 0 && below !== undefined && below.layer < layer) this.#standing.delete(written);
  }

  /** Of a hard link: texts of the symbolic link that it gives a second name, none when it is to something else. */
  #linked(header: EntryHeader, at: string): string[] {
    if (header.type !== "link") return [];
    const to = partsOf(header.linkname ?? "", `${at}: link target`);
    const written = to.join("/");
    const file = to.pop();
    const linked = file === undefined ? [] : [...this.#resolve(to, at), file];
    refuseReserved(linked, at, "links to");
    this.#mustLieInFolders(to, `${at}: link target`);
    const texts = [this.#links.get(linked.join("/")), this.#standing.get(written)?.text];
    return texts.filter((text) => text !== undefined);
  }

  #mustLieInFolders(parts: readonly string[], at: string): void {
    let folder = "";
    for (const part of parts) {
      folder = folder === "" ? part : `${folder}/${part}`;
      if (this.#standing.has(folder))
        throw new ImageError(
          "IMAGE_LAYER",
          `${at} lies behind the link ${quoted(folder)}, which guests replace by a folder or follow elsewhere. ` +
            "Give it the path where it is to be",
        );
    }
  }

  /** Where a folder's path ends when links are followed inside the image. */
  #resolve(parts: readonly string[], at: string): string[] {
    const todo = [...parts].reverse();
    const done: string[] = [];
    let followed = 0;
    for (let part = todo.pop(); part !== undefined; part = todo.pop()) {
      if (part === "" || part === ".") continue;
      if (part === "..") {
        done.pop();
        continue;
      }
      done.push(part);
      const link = this.#links.get(done.join("/"));
      if (link === undefined) continue;
      if (++followed > MAX_LINKS) throw new ImageError("IMAGE_LAYER", `${at} lies behind more than ${MAX_LINKS} links`);
      if (path.posix.isAbsolute(link)) done.length = 0;
      else done.pop();
      todo.push(...link.split("/").reverse());
    }
    return done;
  }
}

function partsOf(name: string, at: string): string[] {
  const parts = name.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.includes("..")) throw new ImageError("IMAGE_LAYER", `${at} leaves the image with ".."`);
  return parts;
}

function refuseReserved(target: readonly string[], at: string, verb: string): void {
  const [top] = target;
  if (top !== undefined && RESERVED.has(top)) throw reserved(at, `${verb} ${JSON.stringify(`/${target.join("/")}`)}`);
}

/**
 * Whoever follows a link to the runner's files meets their folder's name in some link's text. It is harmless only where
 * nothing but `..` comes before it, so that no other link can lie on the way, and where that is not the root.
 */
function refuseLinkToRunner(text: string, folder: readonly string[], at: string): void {
  let depth = path.posix.isAbsolute(text) ? 0 : folder.length;
  let named = false;
  for (const part of text.split("/")) {
    if (part === PRELOAD) throw preloads(at);
    if (RESERVED.has(part) && (named || depth === 0)) throw reserved(at, `leads to ${quoted(text)}`);
    if (part === "..") depth = Math.max(0, depth - 1);
    else if (part !== "" && part !== ".") named = true;
  }
}

const reserved = (at: string, what: string): ImageError =>
  new ImageError("IMAGE_RESERVED", `${at} ${what}: /sealflow and /sealflow-owner belong to the runner. Remove it`);

const preloads = (at: string): ImageError =>
  new ImageError("IMAGE_RESERVED", `${at} would load code into the runner. Remove it`);

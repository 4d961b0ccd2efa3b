/**
 * Keeps the files of the runner as they are: user layers lie above the runner layer, so an entry of theirs could replace
 * or delete it. Every entry is resolved through the links of all user layers so far, as an extractor would.
 */
import * as path from "node:path";
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
/** Names libraries that the loader puts into every process, the runner's too: in no folder, since links may lead to it. */
const PRELOAD = "ld.so.preload";
/** As many links as Linux follows. */
const MAX_LINKS = 40;

export class RunnerGuard {
  readonly #links = new Map<string, string>();

  /** @param where names the layer in errors. @throws ImageError IMAGE_RESERVED or IMAGE_LAYER. */
  check(header: EntryHeader, where: string): void {
    const at = `${where}: entry ${JSON.stringify(header.name.slice(0, 200))}`;
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
      return;
    }
    const deletes = name.startsWith(WHITEOUT);
    const target = [...parent, deletes ? name.slice(WHITEOUT.length) : name];
    refuseReserved(target, at, deletes ? "deletes" : "replaces");
    if (!deletes && target.length === 1 && name === SALT_FILE)
      throw new ImageError("IMAGE_LAYER", `${at} has the name of an entry that sealing adds. Rename it`);
    if (!deletes && name === PRELOAD)
      throw new ImageError("IMAGE_RESERVED", `${at} would load code into the runner. Remove it`);
    const key = target.join("/");
    if (header.type === "link") {
      const to = partsOf(header.linkname ?? "", `${at}: link target`);
      const file = to.pop();
      const linked = file === undefined ? [] : [...this.#resolve(to, at), file];
      refuseReserved(linked, at, "links to");
      const text = this.#links.get(linked.join("/"));
      if (text !== undefined) this.#links.set(key, text); // a second name of a symbolic link
    }
    // Something else in a link's place does not make us forget it: some extractors would still follow it.
    if (header.type === "symlink") this.#links.set(key, header.linkname ?? "");
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
  if (top !== undefined && RESERVED.has(top)) throw reserved(at, `${verb} /${target.join("/")}`);
}

const reserved = (at: string, what: string): ImageError =>
  new ImageError("IMAGE_RESERVED", `${at} ${what}: /sealflow and /sealflow-owner belong to the runner. Remove it`);

/** Reads the files of a run folder and holds them against the manifest. */
import { existsSync, lstatSync, readFileSync } from "node:fs";
import * as path from "node:path";
import { ProtocolError } from "../../protocol/errors";
import { parse } from "../../protocol/shape";
import {
  digestFile,
  isKnownFile,
  listFiles,
  MANIFEST,
  type Manifest,
  manifest,
  manifestText,
  RunFolderError,
} from "../run-folder/layout";
import type { Findings } from "./report";

/** Larger texts are refused: they would not fit into one string. Some 3 million log entries. */
const MAX_TEXT_BYTES = 256 * 1024 * 1024;

export class Folder {
  /** Regular files that the layout knows. */
  readonly files: readonly string[];
  private readonly known: ReadonlySet<string>;

  /** @throws RunFolderError FOLDER_MISSING. */
  constructor(
    readonly dir: string,
    private readonly findings: Findings,
  ) {
    if (!existsSync(dir) || !lstatSync(dir).isDirectory()) {
      throw new RunFolderError("FOLDER_MISSING", `${dir}: no such folder. Get one with: sealflow fetch`);
    }
    this.files = listFiles(dir).filter((file) => this.belongs(file));
    this.known = new Set(this.files);
  }

  /** Links, pipes and devices are never opened: a folder from elsewhere could make the reader wait or wander. */
  private belongs(file: string): boolean {
    if (!lstatSync(this.path(file)).isFile()) this.findings.add("FILE_UNKNOWN", file, "is not a regular file");
    else if (!isKnownFile(file)) this.findings.add("FILE_UNKNOWN", file, "is no file of a run folder");
    else return true;
    return false;
  }

  has = (file: string): boolean => this.known.has(file);
  path = (file: string): string => path.join(this.dir, file);

  /** Files of a sub-folder that match, with the matched parts. */
  matching(pattern: RegExp): { file: string; parts: string[] }[] {
    return this.files.flatMap((file) => {
      const match = pattern.exec(file);
      return match ? [{ file, parts: match.slice(1) }] : [];
    });
  }

  /** Text without its one final line feed; undefined, and a finding, when it is missing or of another form. */
  text(file: string): string | undefined {
    if (!this.has(file)) {
      this.findings.add("FILE_MISSING", file, "is missing");
      return undefined;
    }
    const { size } = lstatSync(this.path(file));
    if (size > MAX_TEXT_BYTES) {
      this.findings.add("SHAPE", file, `has ${size} bytes, at most ${MAX_TEXT_BYTES} are read`);
      return undefined;
    }
    const bytes = readFileSync(this.path(file));
    let text: string;
    try {
      text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      this.findings.add("SHAPE", file, "is not UTF-8 text");
      return undefined;
    }
    if (!text.endsWith("\n")) {
      this.findings.add("SHAPE", file, "does not end with a line feed");
      return undefined;
    }
    return text.slice(0, -1);
  }

  /** The manifest, when it is one; its digests are checked against all files. */
  async manifest(): Promise<Manifest | undefined> {
    const text = this.text(MANIFEST);
    if (text === undefined) return undefined;
    let read: Manifest;
    try {
      read = parse(manifest, JSON.parse(text), MANIFEST);
    } catch (error) {
      const why = error instanceof ProtocolError ? error.message : "is not JSON";
      this.findings.add("SHAPE", MANIFEST, why);
      return undefined;
    }
    if (manifestText(read) !== `${text}\n`) this.findings.add("SHAPE", MANIFEST, "is not canonical JSON");
    await this.compare(read);
    return read;
  }

  private async compare({ files }: Manifest): Promise<void> {
    for (const [file, { sha256, size }] of Object.entries(files)) {
      if (!this.has(file)) {
        this.findings.add("FILE_MISSING", file, `is in ${MANIFEST}, but not in the folder`);
        continue;
      }
      const found = await digestFile(this.path(file));
      if (found.sha256 !== sha256 || found.size !== size) {
        this.findings.add("FILE_CHANGED", file, `has SHA-256 ${found.sha256}, ${MANIFEST} says ${sha256}`);
      }
    }
    for (const file of this.files) {
      if (file !== MANIFEST && !Object.hasOwn(files, file)) {
        this.findings.add("FILE_UNKNOWN", file, `is not in ${MANIFEST}`);
      }
    }
  }
}

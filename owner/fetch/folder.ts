/** Writes the verifiable folder of one run from the ledger's export. */
import { randomBytes } from "node:crypto";
import {
  createWriteStream,
  existsSync,
  linkSync,
  mkdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { readFile } from "node:fs/promises";
import * as path from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { jcs } from "../../protocol/canonical";
import { jwsDigest, peekJws } from "../../protocol/jws";
import { type Commit, commit, descriptor, type LogEntry } from "../../protocol/messages";
import type { objectRef } from "../../protocol/messages/common";
import { edgeName } from "../../protocol/names";
import { contentOf, peekOpening, runIdOf } from "../../protocol/opening";
import { pathText } from "../../protocol/quoted";
import type { Infer } from "../../protocol/shape";
import {
  commitFile,
  descriptorFile,
  digestFile,
  failureFile,
  HEAD,
  isKnownFile,
  LOG,
  listFiles,
  MANIFEST,
  type Manifest,
  manifestText,
  objectFile,
  REQUEST,
  RunFolderError,
  revocationFile,
} from "../run-folder/layout";

/** `GET /v1/runs/{run}/log`. Nothing in it is believed: the folder is verified after it was written. */
export interface RunExport {
  readonly descriptors: readonly string[];
  readonly revocations: readonly string[];
  readonly request: string;
  readonly commits: readonly { readonly commit: string; readonly leaf: number }[];
  readonly failures: readonly { readonly commit: string; readonly leaf: number }[];
  readonly entries: readonly { readonly entry?: string; readonly hash: string }[];
  readonly head: string;
  readonly objects: Readonly<Record<string, string>>;
}

type ObjectRef = Infer<typeof objectRef>;

/** Ciphertext behind one of the export's URLs. */
export type Download = (url: string) => Promise<AsyncIterable<Uint8Array>>;

export interface WriteRunFolderOptions {
  readonly exported: RunExport;
  /** A run folder at this place is replaced as a whole, and its objects are kept; anything else is left as it is. */
  readonly dir: string;
  readonly download: Download;
  /** Released edges and logs, or every object that the store still has. Default: released. */
  readonly objects?: "released" | "all";
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/** @throws RunFolderError FOLDER_EXPORT, FOLDER_TAKEN, ProtocolError, or what `download` throws. */
export async function writeRunFolder(options: WriteRunFolderOptions): Promise<void> {
  const { dir } = options;
  replaceable(dir);
  const fresh = `${dir}.${randomBytes(4).toString("hex")}.tmp`;
  mkdirSync(fresh, { recursive: true, mode: 0o700 });
  try {
    writeTexts(fresh, options.exported);
    await writeObjects(fresh, options);
    await writeManifest(fresh);
    replaceFolder(fresh, dir);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

/** Lists every file with digest and size; to be called after any change of the folder. */
export async function writeManifest(dir: string): Promise<void> {
  const request = await textOf(dir, REQUEST);
  const files: Manifest["files"] = {};
  for (const file of listFiles(dir)) if (file !== MANIFEST) files[file] = await digestFile(path.join(dir, file));
  const content: Manifest = {
    v: 1,
    run: runIdOf(request),
    pipelineUid: contentOf(peekOpening(request)).pipelineUid,
    files,
  };
  writeFileSync(path.join(dir, MANIFEST), manifestText(content), { mode: 0o600 });
}

function writeTexts(dir: string, exported: RunExport): void {
  const write = (file: string, text: string): void => {
    const target = path.join(dir, file);
    mkdirSync(path.dirname(target), { recursive: true, mode: 0o700 });
    writeFileSync(target, `${text}\n`, { mode: 0o600 });
  };
  write(REQUEST, exported.request);
  for (const token of exported.descriptors) {
    write(descriptorFile(peekJws("sealflow-descriptor+jwt", token, descriptor).sequence), token);
  }
  for (const token of exported.revocations) write(revocationFile(jwsDigest(token)), token);
  for (const { commit: token } of exported.commits) write(commitFile(peekCommit(token)), token);
  for (const { commit: token } of exported.failures) write(failureFile(peekCommit(token)), token);
  write(LOG, exported.entries.map(({ entry, hash }) => jcs(entry === undefined ? { hash } : { entry })).join("\n"));
  write(HEAD, exported.head);
}

async function writeObjects(fresh: string, options: WriteRunFolderOptions): Promise<void> {
  const { exported, dir, download, onProgress, signal } = options;
  const wanted = wantedObjects(exported, options.objects ?? "released");
  mkdirSync(path.join(fresh, "objects"), { recursive: true, mode: 0o700 });
  for (const [done, { digest, size }] of wanted.entries()) {
    onProgress?.(done, wanted.length);
    const target = path.join(fresh, objectFile(digest));
    const held = path.join(dir, objectFile(digest));
    if (existsSync(held) && (await digestFile(held)).sha256 === digest) {
      linkSync(held, target);
      continue;
    }
    const url = exported.objects[digest];
    if (url === undefined) continue; // swept or never uploaded: verify says so when it must be there
    const content = atMost(size, digest, await download(url));
    await pipeline(Readable.from(content), createWriteStream(target, { mode: 0o600 }), { signal });
    const found = await digestFile(target);
    if (found.sha256 !== digest) {
      throw new RunFolderError("FOLDER_EXPORT", `object ${digest}: the store sent bytes with SHA-256 ${found.sha256}`);
    }
  }
  onProgress?.(wanted.length, wanted.length);
}

/** A store must not fill the disk. @throws RunFolderError FOLDER_EXPORT. */
async function* atMost(size: number, digest: string, content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const chunk of content) {
    bytes += chunk.length;
    if (bytes > size) {
      throw new RunFolderError("FOLDER_EXPORT", `object ${digest}: the store sends more than its ${size} bytes`);
    }
    yield chunk;
  }
}

/** Each once: outputs that are released, and logs; or all that version, request and commits name. */
function wantedObjects(exported: RunExport, which: "released" | "all"): ObjectRef[] {
  const d = peekJws("sealflow-descriptor+jwt", versionOfRun(exported), descriptor);
  const released = new Set(Object.values(d.releases).map(({ from }) => from));
  const objects = [...exported.commits, ...exported.failures].flatMap(({ commit: text }) => {
    const c = peekCommit(text);
    const outputs = Object.entries(c.outputs).filter(
      ([output]) => which === "all" || released.has(edgeName(c.step, output)),
    );
    return [...outputs.map(([, object]) => object), c.log];
  });
  if (which === "all") {
    const { imports } = contentOf(peekOpening(exported.request));
    objects.push(...Object.values(d.datasets), ...Object.values(imports).map(({ object }) => object));
  }
  return [...new Map(objects.map((object) => [object.digest, object])).values()];
}

/**
 * The signed version that the run is of: its request names it, or the log where a slot opened it.
 * @throws RunFolderError FOLDER_EXPORT when it is not in the export.
 */
export function versionOfRun({ request, descriptors, entries }: RunExport): string {
  const opening = peekOpening(request);
  const digest = opening.kind === "request" ? opening.request.descriptor : loggedVersion(entries, runIdOf(request));
  const token = descriptors.find((d) => jwsDigest(d) === digest);
  if (token !== undefined) return token;
  throw new RunFolderError("FOLDER_EXPORT", `the ledger's export lacks version ${digest ?? "?"} of the run`);
}

function loggedVersion(entries: RunExport["entries"], run: string): string | undefined {
  for (const { entry } of entries) {
    const read = entry === undefined ? undefined : (JSON.parse(entry) as Partial<LogEntry>);
    if (read?.kind === "run" && read.run === run) return read.version;
  }
  return undefined;
}

const peekCommit = (token: string): Commit => peekJws("sealflow-commit+jwt", token, commit);

async function textOf(dir: string, file: string): Promise<string> {
  return (await readFile(path.join(dir, file), "utf8")).trimEnd();
}

/** Only what is a run folder, damaged or not, is ever replaced. @throws RunFolderError FOLDER_TAKEN. */
function replaceable(dir: string): void {
  const there = statSync(dir, { throwIfNoEntry: false });
  if (there === undefined) return;
  const foreign = there.isDirectory() ? listFiles(dir).find((file) => !isKnownFile(file)) : "";
  if (foreign === undefined) return;
  const found = foreign === "" ? "is no folder" : `holds ${pathText(foreign)}, which is no file of a run folder`;
  throw new RunFolderError(
    "FOLDER_TAKEN",
    `${dir}: ${found}, so it is not replaced. Name a new folder, or move it away`,
  );
}

/** The old folder goes only when the new one is whole. */
function replaceFolder(fresh: string, dir: string): void {
  const old = `${fresh}.old`;
  if (existsSync(dir)) renameSync(dir, old);
  renameSync(fresh, dir);
  rmSync(old, { recursive: true, force: true });
}

/**
 * One blob into a repository, in pieces, so that a cut connection or an ended process costs one piece and not the blob.
 * The place of an unfinished upload is kept beside the layout: it opens nothing without the login.
 */
import { createReadStream } from "node:fs";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { sha256hex } from "../../protocol/crypto";
import type { Repository } from "../../protocol/image-reference";
import type { RegistryClient } from "./client";
import { RegistryError } from "./errors";
import { retrying } from "./retry";

/** Bytes of a piece; registries that want larger ones say so. Amazon's takes 5 to 10 MiB. */
const PIECE = 8 * 1024 * 1024;
const MAX_PIECE = 256 * 1024 * 1024;
const OCTETS = "application/octet-stream";
const RIGHTS = ["pull", "push"] as const;

export interface BlobUpload {
  readonly at: Repository;
  /** 64 hex. */
  readonly digest: string;
  readonly size: number;
  /** File with the bytes. */
  readonly path: string;
  /** Folder for the places of unfinished uploads. */
  readonly sessions: string;
  /** Bytes that the registry has confirmed since the last call. */
  readonly onBytes: (n: number) => void;
}

interface Session {
  readonly url: URL;
  readonly offset: number;
  /** Bytes of a piece. */
  readonly piece: number;
}

/** @throws RegistryError; errors of the file system. */
export async function uploadBlob(client: RegistryClient, upload: BlobUpload): Promise<void> {
  const place = new SessionFile(upload);
  const known = await resumed(client, upload, await place.read());
  if (known) upload.onBytes(known.offset);
  let session: Session = known ?? (await opened(client, upload));
  await place.write(session.url);
  // One piece at a time: small blobs are one.
  let whole = false;
  while (session.offset < upload.size) {
    const sent: Session | "no pieces" = whole
      ? await sendAll(client, upload)
      : await sendPiece(client, upload, session);
    if (sent === "no pieces") whole = true;
    else {
      const more = sent.offset - session.offset;
      session = sent;
      // Kept before it is told: whoever ends the process now loses nothing.
      await place.write(session.url);
      if (more > 0) upload.onBytes(more);
    }
  }
  await finish(client, upload, session);
  await place.remove();
}

/** Tells the registry to take a blob from another repository of its own. @returns whether it did. */
export async function mountBlob(
  client: RegistryClient,
  at: Repository,
  digest: string,
  from: string,
): Promise<boolean> {
  const query = new URLSearchParams({ mount: `sha256:${digest}`, from });
  const call = (alsoPull: readonly string[]) =>
    client.call(at, {
      method: "POST",
      target: `blobs/uploads/?${query}`,
      rights: RIGHTS,
      alsoPull,
      headers: { "content-length": 0 },
      accept: [201, 202],
      what: `${at.host}/${at.repository}: mount of sha256:${digest}`,
    });
  const answer = await call([from]);
  answer.resume();
  if (answer.statusCode === 201) return true;
  await abandon(client, at, answer.headers.location);
  return false;
}

async function opened(client: RegistryClient, { at, digest }: BlobUpload): Promise<Session> {
  const answer = await client.call(at, {
    method: "POST",
    target: "blobs/uploads/",
    rights: RIGHTS,
    headers: { "content-length": 0 },
    accept: [202],
    what: `${at.host}/${at.repository}: upload of sha256:${digest}`,
  });
  answer.resume();
  const least = Number(answer.headers["oci-chunk-min-length"] ?? 0);
  const piece = Math.min(Math.max(PIECE, Number.isFinite(least) ? least : 0), MAX_PIECE);
  return { url: client.locate(at, answer.headers.location), offset: 0, piece };
}

/** Where an upload stands that an earlier process began; undefined when the registry knows it no more. */
async function resumed(
  client: RegistryClient,
  { at, digest, size }: BlobUpload,
  url: string | undefined,
): Promise<Session | undefined> {
  if (url === undefined) return undefined;
  try {
    const answer = await client.call(at, {
      method: "GET",
      target: client.locate(at, url),
      rights: RIGHTS,
      accept: [204],
      what: `${at.host}/${at.repository}: state of the upload of sha256:${digest}`,
    });
    answer.resume();
    const offset = received(answer.headers.range);
    if (offset === undefined || offset > size) return undefined;
    return { url: client.locate(at, answer.headers.location ?? url), offset, piece: PIECE };
  } catch (error) {
    if (error instanceof RegistryError && ["NOT_FOUND", "REFUSED", "PLAIN_HTTP"].includes(error.code)) return undefined;
    throw error;
  }
}

/** `0-<last>` → how many bytes are there; `0-0` of an upload that just began means none. */
function received(range: string | undefined): number | undefined {
  const last = /^(?:bytes=)?0-(\d+)$/.exec(range ?? "")?.[1];
  return last === undefined ? undefined : last === "0" ? 0 : Number(last) + 1;
}

/** @returns where the upload stands then; "no pieces" when the registry takes blobs in one request only. */
async function sendPiece(client: RegistryClient, upload: BlobUpload, first: Session): Promise<Session | "no pieces"> {
  const { at, path, size, digest } = upload;
  const what = `${at.host}/${at.repository}: upload of sha256:${digest}`;
  let session = first;
  return retrying(what, client.signal, async (n) => {
    // After a broken piece only the registry knows what it has.
    if (n > 0) session = (await resumed(client, upload, session.url.href)) ?? (await opened(client, upload));
    const { offset } = session;
    const end = Math.min(size, offset + session.piece);
    const answer = await client.call(at, {
      method: "PATCH",
      target: session.url,
      rights: RIGHTS,
      headers: { "content-type": OCTETS, "content-length": end - offset, "content-range": `${offset}-${end - 1}` },
      body: () => createReadStream(path, { start: offset, end: end - 1, highWaterMark: 256 * 1024 }),
      accept: [202, 204, 400, 404, 405, 413, 416, 501],
      what,
      retry: false,
    });
    answer.resume();
    const status = answer.statusCode ?? 0;
    if (status === 202 || status === 204) {
      // `0-0` is also what one byte looks like; a piece that was taken is never none.
      const there = received(answer.headers.range) || end;
      return { ...session, url: client.locate(at, answer.headers.location), offset: there };
    }
    if (offset === 0 && n === 0) return "no pieces";
    throw new Error(`the registry answered ${status} to a piece`);
  });
}

/** The whole blob as one PATCH, for registries without pieces. */
async function sendAll(client: RegistryClient, upload: BlobUpload): Promise<Session> {
  const { at, path, size, digest } = upload;
  const what = `${at.host}/${at.repository}: upload of sha256:${digest}`;
  return retrying(what, client.signal, async () => {
    const session = await opened(client, upload);
    const answer = await client.call(at, {
      method: "PATCH",
      target: session.url,
      rights: RIGHTS,
      headers: { "content-type": OCTETS, "content-length": size },
      body: () => createReadStream(path, { highWaterMark: 256 * 1024 }),
      accept: [202, 204],
      what,
      retry: false,
    });
    answer.resume();
    return { ...session, url: client.locate(at, answer.headers.location), offset: size };
  });
}

async function finish(client: RegistryClient, { at, digest }: BlobUpload, { url }: Session): Promise<void> {
  const target = new URL(url);
  target.searchParams.set("digest", `sha256:${digest}`);
  const what = `${at.host}/${at.repository}: end of the upload of sha256:${digest}`;
  const headers = { "content-type": OCTETS, "content-length": 0 };
  const accept = [201, 204, 404];
  const answer = await client.call(at, { method: "PUT", target, rights: RIGHTS, headers, accept, what });
  answer.resume();
  // A try whose answer was lost has ended the upload, and the next one does not find it.
  if (answer.statusCode !== 404 || (await client.hasBlob(at, digest))) return;
  throw new RegistryError("NOT_FOUND", `${what}: the registry knows the upload no more. Try again`);
}

/** A registry that did not mount has opened an upload instead; it is given back. Best effort. */
async function abandon(client: RegistryClient, at: Repository, location: string | undefined): Promise<void> {
  try {
    const answer = await client.call(at, {
      method: "DELETE",
      target: client.locate(at, location),
      rights: RIGHTS,
      accept: [200, 202, 204, 404, 405],
      what: `${at.host}/${at.repository}: end of an unused upload`,
      retry: false,
    });
    answer.resume();
  } catch {
    // The registry drops it in time.
  }
}

/** Where an unfinished upload is, for the next process. */
class SessionFile {
  readonly #path: string;

  constructor(private readonly upload: BlobUpload) {
    const { at, digest, sessions } = upload;
    this.#path = join(sessions, `${sha256hex(`${at.host}/${at.repository}@${digest}`).slice(0, 32)}.json`);
  }

  async read(): Promise<string | undefined> {
    try {
      const found = JSON.parse(await readFile(this.#path, "utf8")) as { url?: unknown };
      return typeof found.url === "string" ? found.url : undefined;
    } catch {
      return undefined;
    }
  }

  async write(url: URL): Promise<void> {
    await mkdir(this.upload.sessions, { recursive: true, mode: 0o700 });
    const temporary = `${this.#path}.${process.pid}`;
    await writeFile(temporary, JSON.stringify({ url: url.href }), { mode: 0o600 });
    await rename(temporary, this.#path);
  }

  async remove(): Promise<void> {
    await rm(this.#path, { force: true });
  }
}

/** `PUT|GET|HEAD /objects/<name>`: the store's own HTTP. Bodies stream; nothing is held in memory. */
import type { KeyObject } from "node:crypto";
import { Readable } from "node:stream";
import { LedgerError } from "../errors";
import type { FsStore } from "./fs";
import { verifyUrl } from "./urls";

/** @returns answer and status. */
export async function putObject(
  store: FsStore,
  key: KeyObject,
  at: string,
  body: AsyncIterable<Uint8Array>,
  now: number,
): Promise<[object, 200 | 201]> {
  const { url, name } = target(at);
  verifyUrl(key, url, "put", name, now);
  const { digest, size, created } = await store.put(name, body);
  return [{ digest, size }, created ? 201 : 200];
}

export async function getObject(store: FsStore, key: KeyObject, req: Request, now: number): Promise<Response> {
  const { url, name } = target(req.url);
  verifyUrl(key, url, "get", name, now);
  const found = await store.stat(name);
  if (!found) throw new LedgerError("OBJECT_UNKNOWN", `object ${name}: not in the store`);
  const range = parseRange(req.headers.get("range"), found.size);
  const headers = new Headers({
    "accept-ranges": "bytes",
    "content-type": "application/octet-stream",
    "content-length": String(range ? range.end - range.start + 1 : found.size),
    etag: `"${found.digest}"`,
  });
  if (range) headers.set("content-range", `bytes ${range.start}-${range.end}/${found.size}`);
  const empty = req.method === "HEAD" || found.size === 0;
  const body = empty ? null : (Readable.toWeb(await store.get(name, range)) as unknown as ReadableStream);
  return new Response(body, { status: range ? 206 : 200, headers });
}

function target(at: string): { url: URL; name: string } {
  const url = new URL(at);
  return { url, name: url.pathname.replace(/^\/objects\//, "") };
}

/**
 * One range of RFC 9110 section 14; several, or another unit, are answered with the whole object as the RFC allows.
 * @throws LedgerError RANGE when it lies outside of the object.
 */
export function parseRange(header: string | null, size: number): { start: number; end: number } | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? "");
  if (!match || (match[1] === "" && match[2] === "")) return undefined;
  const last = size - 1;
  const start = match[1] === "" ? Math.max(0, size - Number(match[2])) : Number(match[1]);
  const end = match[1] === "" || match[2] === "" ? last : Math.min(Number(match[2]), last);
  if (start > end || (match[1] === "" && Number(match[2]) === 0)) {
    throw new LedgerError("RANGE", `range ${header?.slice(0, 60)}: outside of the object's ${size} bytes`);
  }
  return { start, end };
}

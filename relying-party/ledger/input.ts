/** The border of the HTTP API: media type, size, shape, in this order. */
import type { IncomingMessage } from "node:http";
import type { Context } from "hono";
import { ProtocolError } from "../../protocol/errors";
import { opening } from "../../protocol/messages/common";
import { object, parse } from "../../protocol/shape";
import { LedgerError } from "./errors";

/** A descriptor of thousands of steps fits. */
export const MAX_BODY_BYTES = 8 * 1024 * 1024;

/** Where only a JWS will do, its own parser refuses a slot. */
const tokenBody = object({ token: opening });

/** What is used of Node's answer. */
interface Answering {
  writeHead(status: number, headers: Record<string, string | number>): unknown;
  end(text: string): unknown;
}

/** What Node's server gives beside the request, when it came by one. */
export interface Served {
  readonly Bindings: {
    readonly incoming?: Pick<IncomingMessage, "headers" | "iterator">;
    readonly outgoing?: Answering;
  };
}
export type Http = Context<Served>;

/**
 * The bytes of the body as they come. From Node's own message where there is one: as a Web stream each chunk takes
 * promises and copies, more than a small request's work.
 */
export const bodyOf = (c: Http): AsyncIterable<Uint8Array> =>
  // A reader that gives up still has an answer to send: the connection stays.
  c.env?.incoming?.iterator({ destroyOnReturn: false }) ??
  (c.req.raw.body as AsyncIterable<Uint8Array> | null) ??
  none();

async function* none(): AsyncGenerator<never> {}

const headerOf = (c: Http, name: "content-type" | "content-length"): string | undefined =>
  c.env?.incoming ? c.env.incoming.headers[name] : (c.req.raw.headers.get(name) ?? undefined);

/** The text in `{"token": "…"}`: a JWS, or a schedule and a slot. @throws LedgerError MEDIA_TYPE, TOO_LARGE; ProtocolError SHAPE. */
export async function tokenOf(c: Http): Promise<string> {
  const type = headerOf(c, "content-type")?.split(";")[0]?.trim().toLowerCase();
  if (type !== "application/json") {
    throw new LedgerError("MEDIA_TYPE", `expected content-type application/json, found ${type ?? "none"}`);
  }
  const bytes = await readBody(c, MAX_BODY_BYTES);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw new ProtocolError("SHAPE", "body: not JSON");
  }
  return parse(tokenBody, value, "body").token;
}

/** `Authorization: Bearer <token>`; undefined when there is none. */
export function bearer(req: Request): string | undefined {
  return /^Bearer ([A-Za-z0-9._-]+)$/.exec(req.headers.get("authorization") ?? "")?.[1];
}

/** Stops reading at the limit; a declared length beyond it is not read at all. */
async function readBody(c: Http, max: number): Promise<Uint8Array> {
  const tooLarge = () => new LedgerError("TOO_LARGE", `body: more than ${max} bytes`);
  if (Number(headerOf(c, "content-length") ?? 0) > max) throw tooLarge();
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of bodyOf(c)) {
    size += chunk.length;
    if (size > max) throw tooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

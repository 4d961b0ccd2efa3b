/** JWS compact (RFC 7515), EdDSA, one `typ` per message so that no message can stand in for another. */
import type { KeyObject } from "node:crypto";
import { utf8 } from "./bytes";
import { jcs } from "./canonical";
import { payloadOf, signCompact, typeOf, verifyCompact } from "./compact";
import { sha256hex } from "./crypto";
import { ProtocolError } from "./errors";
import { parse, type Shape } from "./shape";
import { peekRows, provenRows, type Rows, signedTable, splitTable, Table, withoutRows } from "./table";

export type JwsType =
  | "sealflow-bundle+jwt"
  | "sealflow-descriptor+jwt"
  | "sealflow-revoke+jwt"
  | "sealflow-run+jwt"
  | "sealflow-schedule+jwt"
  | "sealflow-cancel+jwt"
  | "sealflow-read+jwt"
  | "sealflow-claim+jwt"
  | "sealflow-claim-answer+jwt"
  | "sealflow-commit+jwt"
  | "sealflow-commit-answer+jwt"
  | "sealflow-answer+jwt"
  | "sealflow-upload+jwt"
  | "sealflow-parts+jwt"
  | "sealflow-parts-answer+jwt"
  | "sealflow-head+jwt";

/** Messages with a table, and the field whose rows it has. In memory the field is a plain record. */
const TABLES: Readonly<Partial<Record<JwsType, string>>> = {
  "sealflow-descriptor+jwt": "steps",
  "sealflow-run+jwt": "parameters",
  "sealflow-schedule+jwt": "parameters",
};

/**
 * Signs the canonical JSON of `payload`; the rows of its table, when it has one, stand behind the signature.
 * Deterministic: same payload and key, same text.
 */
export async function signJws(typ: JwsType, payload: unknown, key: KeyObject): Promise<string> {
  const field = TABLES[typ];
  const rows = field === undefined ? undefined : (payload as Record<string, unknown>)[field];
  if (field === undefined || rows === undefined) return signText(typ, payload, key);
  const table = await Table.of(rows as Record<string, unknown>);
  return `${signText(typ, { ...(payload as object), [field]: table.signed }, key)}${table.all()}`;
}

const signText = (typ: JwsType, payload: unknown, key: KeyObject): string => signCompact(typ, utf8(jcs(payload)), key);

/**
 * Verifies signature, type, table and shape, in that order. Every row must be there.
 * @throws ProtocolError TYPE, SIGNATURE or SHAPE.
 */
export async function verifyJws<T>(typ: JwsType, token: string, key: KeyObject, shape: Shape<T>): Promise<T> {
  const { payload, rows } = await verified(typ, token, key);
  if (rows && !rows.whole) throw new ProtocolError("SHAPE", `${typ}: rows of its table are missing`);
  return parse(shape, payload, typ);
}

/** A message of whose table some rows are shown, each proven. */
export interface Part<T> {
  readonly message: T;
  /** Whether it is certain that this name has the row that the message shows, or none. */
  decides(name: string): boolean;
}

/** As `verifyJws`, for a message that may show some of its rows only. */
export async function verifyPart<T>(typ: JwsType, token: string, key: KeyObject, shape: Shape<T>): Promise<Part<T>> {
  const { payload, rows } = await verified(typ, token, key);
  return { message: parse(shape, payload, typ), decides: (name) => rows?.decides(name) ?? false };
}

async function verified(typ: JwsType, token: string, key: KeyObject): Promise<{ payload: unknown; rows?: Rows }> {
  if (typeof token !== "string") throw new ProtocolError("SHAPE", `${typ}: not a text`);
  const { signed, beside } = splitTable(token);
  const payload = decodeJson(verifyCompact(typ, signed, key), typ);
  const table = tableOf(typ, payload, beside);
  if (!table) return { payload };
  const rows = await provenRows(parse(signedTable, table.content[table.field], `${typ}.${table.field}`), beside);
  return { payload: { ...table.content, [table.field]: rows.values }, rows };
}

/** The message's field that stands for a table. @throws ProtocolError SHAPE when rows are behind a message without. */
function tableOf(typ: JwsType, payload: unknown, beside: string | undefined) {
  const field = TABLES[typ];
  const content = payload as Record<string, unknown>;
  if (field !== undefined && typeof payload === "object" && payload !== null && Object.hasOwn(content, field)) {
    return { field, content };
  }
  if (beside !== undefined) throw new ProtocolError("SHAPE", `${typ}: has no table, and rows behind it`);
  return undefined;
}

/** Reads without verifying: only to learn which key to verify with. Name the result `unverified…`. */
export function peekJws<T>(typ: JwsType, token: string, shape: Shape<T>): T {
  const { signed, beside } = splitTable(typeof token === "string" ? token : "");
  const payload = decodeJson(payloadOf(typ, signed), typ);
  const table = tableOf(typ, payload, beside);
  return parse(shape, table ? { ...table.content, [table.field]: peekRows(beside) } : payload, typ);
}

export interface OpenedJws<T> {
  /** Only to learn which key to verify with. */
  readonly unverified: T;
  /** As `verifyJws`; what was read once is not read again. */
  verify(key: KeyObject): Promise<T>;
}

/** Reads first and verifies then, where the message says with which key. @throws ProtocolError TYPE or SHAPE. */
export function openJws<T>(typ: JwsType, token: string, shape: Shape<T>): OpenedJws<T> {
  const unverified = peekJws(typ, token, shape);
  const verify = async (key: KeyObject): Promise<T> => {
    // Rows behind a signature are not covered by it alone.
    if (TABLES[typ] !== undefined) return verifyJws(typ, token, key, shape);
    verifyCompact(typ, token, key);
    return unverified;
  };
  return { unverified, verify };
}

/** `typ` of a compact JWS, unverified; undefined when it is none. */
export const peekType = (token: string): unknown => typeOf(token);

/** The digest by which other messages refer to a JWS: SHA-256 of its compact text without a table's rows, hex. */
export const jwsDigest = (token: string): string => sha256hex(withoutRows(token));

function decodeJson(payload: Uint8Array, typ: string): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(payload));
  } catch {
    throw new ProtocolError("SHAPE", `${typ}: payload is not JSON`);
  }
}

/** Whoever gives out credentials: requests to it, the files beside them, and what went wrong in a word. */
import { readFileSync } from "node:fs";
import { LedgerError } from "../errors";
import { textOf } from "./answer";
import type { Held } from "./renewed";

/** Milliseconds that one request may take. */
const CALL_MS = 5000;

/** What a place that was looked at gave: something, or the reason why it has nothing. */
export type Looked<T> = Held<T> | { readonly nothing: string };

/**
 * The first place that has something.
 * @throws LedgerError STORE_REFUSED with what each of them lacks, or what the first that fails says.
 */
export async function firstOf<T>(
  what: string,
  places: readonly (() => Looked<T> | Promise<Looked<T>>)[],
): Promise<Held<T>> {
  const lacking: string[] = [];
  for (const look of places) {
    const found = await look();
    if (!("nothing" in found)) return found;
    lacking.push(found.nothing);
  }
  throw new LedgerError("STORE_REFUSED", `object store: no ${what}. Looked at: ${lacking.join("; ")}`);
}

/** The issuer said no; later is worth a try only when the fault was its own. */
export const refused = (status: number, why: string, later = status >= 500 || status === 429): LedgerError =>
  new LedgerError(later ? "BUSY" : "STORE_REFUSED", `object store: ${why} (${status})`);

export interface IssuerRequest extends Omit<RequestInit, "redirect" | "signal"> {
  /** Milliseconds. @default 5000 */
  readonly timeoutMs?: number;
}

/**
 * One request; what it carries goes to this server and to no other that it may name.
 * @throws LedgerError BUSY when it does not answer.
 */
export async function askIssuer(what: string, url: string, request: IssuerRequest = {}): Promise<Response> {
  const { timeoutMs = CALL_MS, ...init } = request;
  try {
    return await fetch(url, { ...init, redirect: "manual", signal: AbortSignal.timeout(timeoutMs) });
  } catch (error) {
    const { cause, name } = error as Error;
    const why = (cause as NodeJS.ErrnoException | undefined)?.code ?? name;
    const host = URL.canParse(url) ? new URL(url).host : "its address";
    throw new LedgerError("BUSY", `object store: ${what}: ${host} cannot be reached (${why})`, { cause: error });
  }
}

/** Text of a file that others renew, read anew each time. @throws LedgerError STORE_REFUSED with variable and reason. */
export function issuedFile(what: string, variable: string, file: string): string {
  let text: string;
  try {
    text = readFileSync(file, "utf8").trim();
  } catch (error) {
    const { code = "unreadable" } = error as NodeJS.ErrnoException;
    throw new LedgerError("STORE_REFUSED", `object store: ${what}: ${variable} names ${file}: ${code}`);
  }
  if (text !== "" && !/[\r\n]/.test(text)) return text;
  throw new LedgerError("STORE_REFUSED", `object store: ${what}: ${variable} names ${file}: expected one line`);
}

/** An answer's JSON object; {} when it is none. */
export async function jsonOf(answer: Response): Promise<Readonly<Record<string, unknown>>> {
  const text = await textOf(answer);
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return {};
  }
  return typeof parsed === "object" && parsed !== null ? (parsed as Record<string, unknown>) : {};
}

/** A word of a foreign answer, fit for a message; "" when it is none. */
export const wordOf = (value: unknown): string =>
  typeof value === "string" ? value.replaceAll(/[^\w.:/ -]/g, "").slice(0, 60) : "";

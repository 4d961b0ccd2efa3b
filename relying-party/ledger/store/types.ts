/** What the ledger asks of an object store. It holds ciphertext only, and nothing it says about content is believed. */
import type { ObjectParts } from "../../../protocol/messages";
import { LedgerError } from "../errors";

export interface StoredObject {
  /** SHA-256, lower-case hex. */
  readonly digest: string;
  /** Bytes. */
  readonly size: number;
}

export interface FoundObject {
  /** SHA-256, lower-case hex; undefined for an object too large to be read here: whoever opens it compares. */
  readonly digest?: string;
  /** Bytes. */
  readonly size: number;
}

export interface ObjectStore {
  /** A URL that allows one operation on one object. @param until seconds since 1970. */
  url(operation: "put" | "get", name: string, until: number): Promise<string>;
  /** Places for an object of `size` bytes, in parts where the store takes parts. @param until seconds since 1970. */
  parts(name: string, size: number, until: number): Promise<ObjectParts>;
  /** Makes an object of its parts when all are there. Nothing to do when it is one already. */
  settle(name: string, size: number): Promise<void>;
  /** Size, and digest if it is known or the object small enough to be read; undefined when it is not there. */
  stat(name: string): Promise<FoundObject | undefined>;
  /** Not there is fine. */
  delete(name: string): Promise<void>;
  /** Deletes the objects of a run but those named in `keep`, and what was uploaded of others. */
  deleteRun(run: string, keep: ReadonlySet<string>): Promise<void>;
}

/** `runs/<run>/<opaque>` and `datasets/<digest>`: nothing else is a name, so none leaves the store's folder. */
export const OBJECT_NAME = /^(?:runs\/[0-9a-f]{64}\/[0-9a-f]{64}|datasets\/[0-9a-f]{64})$/;

/** Of a listing, which may hold anything. */
export const isObjectBelow = (prefix: string, name: string): boolean =>
  name.startsWith(prefix) && OBJECT_NAME.test(name);

/** Whether the bytes that are there may be the ones wanted. A digest that is not known contradicts nothing. */
export const fits = (found: FoundObject, wanted: StoredObject): boolean =>
  found.size === wanted.size && (found.digest ?? wanted.digest) === wanted.digest;

/** @throws LedgerError OBJECT_UNKNOWN */
export function checkedName(name: string): string {
  if (!OBJECT_NAME.test(name)) throw new LedgerError("OBJECT_UNKNOWN", `object ${name.slice(0, 200)}: not a name`);
  return name;
}

/** Requests to a store at one time. */
const AT_ONCE = 8;

export async function inBatches<T>(items: readonly T[], work: (item: T) => Promise<unknown>): Promise<void> {
  for (let i = 0; i < items.length; i += AT_ONCE) await Promise.all(items.slice(i, i + AT_ONCE).map(work));
}

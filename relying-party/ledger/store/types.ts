/** What the ledger asks of an object store. It holds ciphertext only, and nothing it says about content is believed. */
export interface StoredObject {
  /** SHA-256, lower-case hex. */
  readonly digest: string;
  /** Bytes. */
  readonly size: number;
}

export interface ObjectStore {
  /** A URL that allows one operation on one object. @param until seconds since 1970. */
  url(operation: "put" | "get", name: string, until: number): string;
  /** Digest and size without reading the object; undefined when it is not there. */
  stat(name: string): Promise<StoredObject | undefined>;
  /** Not there is fine. */
  delete(name: string): Promise<void>;
  /** Deletes the objects of a run but those named in `keep`. */
  deleteRun(run: string, keep: ReadonlySet<string>): Promise<void>;
}

/** `runs/<run>/<opaque>` and `datasets/<digest>`: nothing else is a name, so none leaves the store's folder. */
export const OBJECT_NAME = /^(?:runs\/[0-9a-f]{64}\/[0-9a-f]{64}|datasets\/[0-9a-f]{64})$/;

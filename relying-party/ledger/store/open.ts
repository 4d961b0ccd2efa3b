/** Which object store a ledger has, from a URL as people write it. Their libraries are loaded with the first call. */
import type { Database } from "../database/open";
import { LedgerError } from "../errors";
import { azureStore } from "./azure/open";
import { s3Store } from "./s3/open";
import type { ObjectStore } from "./types";

/** Bytes of parts, for tests with small objects. */
export interface StoreSettings {
  readonly partBytes?: number;
}

/**
 * Opens `s3://<bucket>[/<prefix>]?region=…&endpoint=…&style=path|virtual&public=…`.
 * - `region`: default AWS_REGION, AWS_DEFAULT_REGION, `us-east-1`.
 * - `endpoint`: any S3 endpoint; default Amazon's of the region.
 * - `style`: where the bucket's name stands; default `path` with an endpoint, else `virtual`.
 * - `public`: endpoint for guests and owners when they reach it by another name.
 * Or `https://<account>.blob.core.windows.net/<container>[/<prefix>]`, Azure Blob by workload or managed identity;
 * `?account=<account>` where the account begins the path instead, as at emulators.
 * Credentials never stand in the URL.
 * @throws LedgerError STORE_URL with every problem.
 */
export function openStore(url: string, db: Database, settings: StoreSettings = {}): ObjectStore {
  const { store, problems } = parsed(url, db, settings);
  if (store && problems.length === 0) return store;
  throw new LedgerError("STORE_URL", `object store ${JSON.stringify(shown(url))}: ${problems.join("; ")}`);
}

function parsed(text: string, db: Database, settings: StoreSettings) {
  const problems: string[] = [];
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.username || url?.password) problems.push("holds credentials; give them by environment or file");
  switch (url?.protocol) {
    case "s3:":
      return { store: s3Store(url, db, settings, problems), problems };
    case "https:":
    case "http:":
      return { store: azureStore(url, db, settings, problems), problems };
    default:
      problems.push("expected s3://<bucket> or https://<account>.blob.core.windows.net/<container>");
      return { store: undefined, problems };
  }
}

/** Without what may be a secret. */
const shown = (url: string): string => url.replace(/\/\/[^/@]*@/, "//…@").slice(0, 200);

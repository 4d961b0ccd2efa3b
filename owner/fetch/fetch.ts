/** A run's folder: written, verified, and only then its releases opened. */
import * as path from "node:path";
import type { Recipient } from "../release";
import { type Report, type VerifyOptions, verifyFolder, verifyRunFolder } from "../verify";
import { type WriteRunFolderOptions, writeManifest, writeRunFolder } from "./folder";
import { openReleases } from "./releases";

export interface FetchOptions extends WriteRunFolderOptions {
  readonly keys: Omit<VerifyOptions, "recipient">;
  /** Opens releases into released/; without it they stay sealed. */
  readonly recipient?: Recipient;
}

export interface Fetched {
  readonly report: Report;
  /** Release → file, for unsharded outputs; `<release>/<shard>` else. Empty when verification failed. */
  readonly released: Readonly<Record<string, string>>;
}

/** Never opens a release of a run that does not verify. @throws as writeRunFolder, or ReleaseError, StreamError. */
export async function fetchRun(options: FetchOptions): Promise<Fetched> {
  const { dir, keys, recipient } = options;
  await writeRunFolder(options);
  const { report, counted, descriptor } = await verifyFolder(dir, keys);
  if (!report.ok || !recipient || !descriptor) return { report, released: {} };
  const released = await openReleases(dir, descriptor, counted, recipient, path.join(dir, "released"));
  await writeManifest(dir);
  return { report: await verifyRunFolder(dir, { ...keys, recipient }), released };
}

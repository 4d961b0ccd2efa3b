/** Releases of a verified folder, opened for one recipient into files. */
import { createReadStream, createWriteStream, existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import * as path from "node:path";
import { pipeline } from "node:stream/promises";
import type { Descriptor } from "../../protocol/messages";
import { parseEdgeName } from "../../protocol/names";
import { openObject, type Recipient, ReleaseError, releasedObject } from "../release";
import { objectFile, releasedFile } from "../run-folder/layout";
import { type Report, type VerifyOptions, verifyFolder } from "../verify";
import type { VerifiedCommit } from "../verify/commits";

/** In front of every place of a released file. */
const RELEASED = "released/";

/**
 * @param dir run folder. @param d its version. @param counted its counted commits, verified.
 * @param out folder to write below; files are `<release>`, or `<release>/<shard>`.
 * @returns `<release>` or `<release>/<shard>` → file. @throws ReleaseError, StreamError, ProtocolError KEY.
 */
export async function openReleases(
  dir: string,
  d: Descriptor,
  counted: readonly VerifiedCommit[],
  recipient: Recipient,
  out: string,
): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  for (const [release, { from, recipients }] of Object.entries(d.releases)) {
    if (!recipients.includes(recipient.name)) continue;
    const producer = parseEdgeName(from).step;
    for (const commit of counted.filter(({ commit: c }) => c.step === producer)) {
      const place = releasedFile(release, commit.commit.shard, commit.step.limits.shards).slice(RELEASED.length);
      const object = await releasedObject(d, commit, release, recipient);
      const target = path.join(out, place);
      const partial = `${target}.tmp`;
      mkdirSync(path.dirname(target), { recursive: true, mode: 0o700 });
      try {
        const sealed = createReadStream(path.join(dir, objectFile(object.digest)));
        await pipeline(openObject(object, sealed), createWriteStream(partial, { mode: 0o600 }));
        renameSync(partial, target);
      } finally {
        rmSync(partial, { force: true });
      }
      files[place] = target;
    }
  }
  return files;
}

export interface OpenFolderOptions {
  readonly dir: string;
  /** From outside the folder: a folder that is verified with its own keys proves nothing. */
  readonly keys: Omit<VerifyOptions, "recipient">;
  readonly recipient: Recipient;
  /** Must not exist yet: nothing is overwritten, and the run folder stays as it is. */
  readonly out: string;
}

/**
 * Verifies a run folder offline and opens what it releases to this recipient.
 * @returns no files when the folder does not verify. @throws ReleaseError NOT_RELEASED when nothing is for the recipient.
 */
export async function openRunFolder({ dir, keys, recipient, out }: OpenFolderOptions): Promise<{
  readonly report: Report;
  readonly released: Readonly<Record<string, string>>;
}> {
  if (existsSync(out)) throw new ReleaseError("OUT_EXISTS", `${out}: is there already; name another folder`);
  const { report, counted, descriptor: version } = await verifyFolder(dir, keys);
  if (!report.ok || !version) return { report, released: {} };
  if (!Object.values(version.releases).some(({ recipients }) => recipients.includes(recipient.name))) {
    const known = [...new Set(Object.values(version.releases).flatMap(({ recipients }) => recipients))].sort();
    throw new ReleaseError(
      "NOT_RELEASED",
      `nothing of this run is released to "${recipient.name}" (recipients: ${known.join(", ") || "none"})`,
    );
  }
  return { report, released: await openReleases(dir, version, counted, recipient, out) };
}

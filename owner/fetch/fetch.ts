/** A run's folder: written, verified, and only then its releases opened. */
import { createReadStream, createWriteStream, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import * as path from "node:path";
import { pipeline } from "node:stream/promises";
import { peekJws } from "../../protocol/jws";
import { type Descriptor, descriptor } from "../../protocol/messages";
import { parseEdgeName } from "../../protocol/names";
import { openObject, type Recipient, releasedObject } from "../release";
import { descriptorFile, objectFile, releasedFile } from "../run-folder/layout";
import { type Report, type VerifyOptions, verifyFolder, verifyRunFolder } from "../verify";
import type { VerifiedCommit } from "../verify/commits";
import { type WriteRunFolderOptions, writeManifest, writeRunFolder } from "./folder";

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
  const { report, counted } = await verifyFolder(dir, keys);
  if (!report.ok || !recipient) return { report, released: {} };
  const released = await openReleases(dir, readVersion(dir, report.version), counted, recipient);
  await writeManifest(dir);
  return { report: await verifyRunFolder(dir, { ...keys, recipient }), released };
}

/** Only after verifyFolder: that it is the version signed by the owner has been checked there. */
function readVersion(dir: string, sequence: number): Descriptor {
  const token = readFileSync(path.join(dir, descriptorFile(sequence)), "utf8").trimEnd();
  return peekJws("sealflow-descriptor+jwt", token, descriptor);
}

async function openReleases(
  dir: string,
  d: Descriptor,
  counted: readonly VerifiedCommit[],
  recipient: Recipient,
): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  for (const [release, { from, recipients }] of Object.entries(d.releases)) {
    if (!recipients.includes(recipient.name)) continue;
    const producer = parseEdgeName(from).step;
    for (const commit of counted.filter(({ commit: c }) => c.step === producer)) {
      const file = releasedFile(release, commit.commit.shard, commit.step.limits.shards);
      const object = await releasedObject(d, commit, release, recipient);
      const target = path.join(dir, file);
      const partial = `${target}.tmp`;
      mkdirSync(path.dirname(target), { recursive: true, mode: 0o700 });
      try {
        const sealed = createReadStream(path.join(dir, objectFile(object.digest)));
        await pipeline(openObject(object, sealed), createWriteStream(partial, { mode: 0o600 }));
        renameSync(partial, target);
      } finally {
        rmSync(partial, { force: true });
      }
      files[file.slice("released/".length)] = target;
    }
  }
  return files;
}

/** Released plaintexts in the folder: opened again from their objects when the recipient's key is there. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { SealflowError } from "../../protocol/errors";
import type { Descriptor } from "../../protocol/messages";
import { parseEdgeName } from "../../protocol/names";
import { openObject, type Recipient, releasedObject } from "../release";
import { digestFile, objectFile, releasedFile } from "../run-folder/layout";
import type { VerifiedCommit } from "./commits";
import type { Folder } from "./folder";
import type { Findings } from "./report";

const RELEASED = /^released\/(.+)$/;

export async function checkReleased(
  folder: Folder,
  d: Descriptor,
  counted: readonly VerifiedCommit[],
  recipient: Recipient | undefined,
  findings: Findings,
): Promise<{ reopened: number; copies: number }> {
  const places = new Map<string, { release: string; commit: VerifiedCommit }>();
  for (const [release, { from }] of Object.entries(d.releases)) {
    const { step } = parseEdgeName(from);
    for (const commit of counted.filter(({ commit: c }) => c.step === step)) {
      places.set(releasedFile(release, commit.commit.shard, commit.step.limits.shards), { release, commit });
    }
  }
  const counts = { reopened: 0, copies: 0 };
  for (const { file } of folder.matching(RELEASED)) {
    const place = places.get(file);
    if (!place) findings.add("RELEASED", file, "the run released nothing of this name");
    else if (!recipient) counts.copies += 1;
    else if (await reopens(folder, d, file, place, recipient, findings)) counts.reopened += 1;
  }
  return counts;
}

async function reopens(
  folder: Folder,
  d: Descriptor,
  file: string,
  { release, commit }: { release: string; commit: VerifiedCommit },
  recipient: Recipient,
  findings: Findings,
): Promise<boolean> {
  try {
    const object = await releasedObject(d, commit, release, recipient);
    const sealed = objectFile(object.digest);
    if (!folder.has(sealed)) return false; // has its own finding
    const hash = createHash("sha256");
    for await (const piece of openObject(object, createReadStream(folder.path(sealed)))) hash.update(piece);
    if (hash.digest("hex") === (await digestFile(folder.path(file))).sha256) return true;
    findings.add("RELEASED", file, "is not what its object holds");
  } catch (error) {
    if (!(error instanceof SealflowError)) throw error;
    findings.add("RELEASED", file, error.message);
  }
  return false;
}

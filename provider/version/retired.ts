/**
 * Identities that left the program while a version in the ledger still lets their steps run: they are kept, noted in
 * `.sealflow/retired/<pipelineUid>/<programId>.json`, and collected when no version lists them any more. A lost note
 * leaves keys and a grant behind that open nothing new: the ledger refuses claims of a closed version.
 */
import { readdirSync, rmSync } from "node:fs";
import * as path from "node:path";
import { verifyDescriptor } from "../../owner/descriptor";
import { hex32, url } from "../../protocol/messages/common";
import { type Infer, literal, object, optional, parse, text } from "../../protocol/shape";
import { ownFolder, readText, writePrivate } from "../files";
import type { Keys } from "../keys";
import type { RelyingParty } from "../relying-party";
import { isLive } from "../resources/live";
import type { Context } from "../server/context";
import { listVersions } from "./register";

const retiredShape = object({
  v: literal(1),
  pipelineUid: hex32,
  programId: hex32,
  step: text({ max: 40 }),
  /** Key broker that has them. */
  kbsUrl: optional(url),
  grant: text({ max: 200 }),
  /** Paths in the key broker. */
  bundle: text({ max: 200 }),
  imageKey: text({ max: 200 }),
});
export type Retired = Infer<typeof retiredShape>;

const folderOf = (context: Context, pipelineUid: string): string =>
  ownFolder(context.home, "retired", path.join(context.home, "retired", pipelineUid));
const fileOf = (context: Context, { pipelineUid, programId }: Retired): string =>
  path.join(folderOf(context, pipelineUid), `${programId}.json`);

/** When many steps go at once, the ledger is asked once; milliseconds. */
const REMEMBER_MS = 5000;
/** By pipeline and ledger. */
const remembered = new Map<string, { readonly at: number; readonly programs: Promise<Set<string>> }>();

/** After a version was registered or closed. */
export const forgetRunning = (keys: Keys): void => {
  for (const known of remembered.keys()) if (known.startsWith(keys.facts.pipelineUid)) remembered.delete(known);
};

/** programIds of the versions that may still run: the open one and those that drain. */
export function runningPrograms(context: Context, party: RelyingParty, keys: Keys): Promise<Set<string>> {
  const asked = `${keys.facts.pipelineUid} ${party.connection.ledgerKey}`;
  const at = context.now().getTime();
  const known = remembered.get(asked);
  if (known && at - known.at < REMEMBER_MS) return known.programs;
  const programs = askRunning(context, party, keys);
  remembered.set(asked, { at, programs });
  programs.catch(() => remembered.delete(asked));
  return programs;
}

async function askRunning(context: Context, party: RelyingParty, keys: Keys): Promise<Set<string>> {
  const programs = new Set<string>();
  for (const { state, token } of await listVersions(context, party.ledger, keys)) {
    if (state !== "open" && state !== "draining") continue;
    const { steps } = await verifyDescriptor(token, keys.facts.ownerPublicKey);
    for (const { programId } of Object.values(steps)) programs.add(programId);
  }
  return programs;
}

export function retire(context: Context, retired: Retired): void {
  writePrivate(fileOf(context, retired), `${JSON.stringify(retired)}\n`);
}

export function isImageKeyRetired(context: Context, pipelineUid: string, imageKey: string): boolean {
  return listRetired(context, pipelineUid).some((retired) => retired.imageKey === imageKey);
}

/** Deletes the keys and grants of retired identities that no version lists any more. @returns how many. */
export async function collectRetired(context: Context, party: RelyingParty, keys: Keys): Promise<number> {
  const { kbsUrl } = party.connection;
  // Of a key broker that the pipeline has left, nothing is known here.
  const retired = listRetired(context, keys.facts.pipelineUid).filter((entry) => (entry.kbsUrl ?? kbsUrl) === kbsUrl);
  if (retired.length === 0) return 0;
  const running = await runningPrograms(context, party, keys);
  const over = retired.filter(({ programId, bundle }) => !running.has(programId) && !isLive(bundle));
  const kept = retired.filter((entry) => !over.includes(entry));
  for (const entry of over) {
    await removeIdentity(party, entry);
    const shared = isLive(entry.imageKey) || kept.some(({ imageKey }) => imageKey === entry.imageKey);
    if (!shared) await party.kbs.deleteResource(entry.imageKey);
    rmSync(fileOf(context, entry), { force: true });
  }
  return over.length;
}

/** The grant first: from then on nothing is released, whatever else fails. */
export async function removeIdentity({ kbs }: RelyingParty, { grant, bundle }: Pick<Retired, "grant" | "bundle">) {
  await kbs.revokeGrant(grant);
  await kbs.deleteResource(bundle);
}

function listRetired(context: Context, pipelineUid: string): Retired[] {
  let names: string[];
  try {
    names = readdirSync(folderOf(context, pipelineUid));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
  return names
    .filter((name) => /^[0-9a-f]{64}\.json$/.test(name))
    .map((name) => {
      const file = path.join(folderOf(context, pipelineUid), name);
      return parse(retiredShape, JSON.parse(readText(file) ?? "null"), file);
    });
}

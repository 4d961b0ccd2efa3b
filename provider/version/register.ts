/** Registering the next version of a pipeline: the ledger says what the last one was, not the stack's state. */
import { randomBytes } from "node:crypto";
import { type BuildDescriptorOptions, buildDescriptor, signDescriptor, verifyDescriptor } from "../../owner/descriptor";
import { signReadToken } from "../../owner/run-request";
import { jcs } from "../../protocol/canonical";
import { jwsDigest } from "../../protocol/jws";
import { ownerKey } from "../../protocol/keys";
import type { Descriptor, DescriptorDataset, DescriptorStep } from "../../protocol/messages";
import type { LedgerClient } from "../../relying-party/ledger-client";
import type { Keys } from "../keys";
import type { RelyingParty } from "../relying-party";
import type { Context } from "../server/context";
import { ProviderError } from "../server/errors";
import { requireOwnKeys } from "./entries";

export interface VersionContent {
  readonly steps: Record<string, DescriptorStep>;
  readonly datasets?: Record<string, DescriptorDataset>;
  readonly releases?: BuildDescriptorOptions["releases"];
  readonly recipients?: Record<string, string>;
  readonly runKeys?: string[];
  /** Schedule → digest. */
  readonly schedules?: Record<string, string>;
  readonly drainSeconds?: number;
  readonly runSeconds?: number;
}

export interface Version {
  readonly digest: string;
  readonly sequence: number;
  /** The signed descriptor. */
  readonly token: string;
  readonly state: string;
}

/** Oldest first; empty when the ledger does not know the pipeline. */
export async function listVersions(context: Context, ledger: LedgerClient, keys: Keys): Promise<Version[]> {
  const { pipelineUid } = keys.facts;
  const { ledgerKey } = ledger;
  const read = await signReadToken(
    { ledgerKey, pipelineUid, now: context.now(), random: randomBytes(32) },
    ownerKey(keys.root),
  );
  try {
    return (await ledger.pipeline(pipelineUid, read)).descriptors;
  } catch (error) {
    if ((error as { code?: unknown }).code === "PIPELINE_UNKNOWN") return [];
    throw error;
  }
}

/**
 * Registers what `content` says. A version that is registered already with the same content is adopted, so an `up` that
 * broke off after registering goes on here.
 * @param old what this stack registered last.
 * @throws ProviderError LEDGER_BEHIND, INPUT; ProtocolError or DescriptorError when the ledger's last version is not the owner's.
 */
export async function registerVersion(
  context: Context,
  { connection, ledger }: RelyingParty,
  keys: Keys,
  content: VersionContent,
  old: (Pick<Version, "digest" | "sequence"> & { readonly ledgerKey: string }) | undefined,
): Promise<Version> {
  requireOwnKeys(keys, content.steps);
  const versions = await listVersions(context, ledger, keys);
  const last = versions.at(-1);
  if (old && old.ledgerKey === connection.ledgerKey) requireKnown(versions, old, keys.facts.name);
  const before = last && (await ownersVersion(last, keys));
  const next = buildDescriptor({
    facts: keys.facts,
    previous: last ? { token: last.token, sequence: last.sequence } : null,
    ledgerKey: connection.ledgerKey,
    ...content,
    releases: content.releases ?? {},
    datasets: content.datasets ?? {},
  });
  if (last?.state === "open" && before && sameContent(before, next)) return last;
  const token = await signDescriptor(next, ownerKey(keys.root));
  context.log.status(`registering version ${next.sequence}`);
  await ledger.registerDescriptor(token);
  return { digest: jwsDigest(token), sequence: next.sequence, token, state: "open" };
}

/** The ledger still has what the stack registered last, as it was. */
function requireKnown(versions: readonly Version[], old: Pick<Version, "digest" | "sequence">, name: string): void {
  const last = versions.at(-1);
  const same = versions.find(({ sequence }) => sequence === old.sequence);
  if (same?.digest === old.digest) return;
  const known = same ? `another version ${old.sequence}` : last ? `version ${last.sequence}` : "no version";
  const remedy = "Restore its newest backup; to go on with what it has, run `pulumi refresh` first";
  throw new ProviderError(
    "LEDGER_BEHIND",
    `the ledger lost versions of ${name}: it knows ${known}, this stack registered ${old.sequence}. ${remedy}`,
  );
}

/** What the next version is signed upon: the owner's own last one, whatever the ledger calls it. */
async function ownersVersion({ token, sequence }: Version, { facts }: Keys): Promise<Descriptor> {
  const d = await verifyDescriptor(token, facts.ownerPublicKey);
  if (d.pipelineUid === facts.pipelineUid && d.sequence === sequence) return d;
  throw new ProviderError(
    "LEDGER_BEHIND",
    `what the ledger shows as version ${sequence} of ${facts.name} is version ${d.sequence} of ${d.name}. Do not go on with it`,
  );
}

function sameContent(a: Descriptor, b: Descriptor): boolean {
  const content = ({ sequence: _sequence, predecessor: _predecessor, ...rest }: Descriptor) => jcs(rest);
  return content(a) === content(b);
}

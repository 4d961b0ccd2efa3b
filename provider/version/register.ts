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
  const read = await signReadToken(pipelineUid, ownerKey(keys.root), context.now(), randomBytes(32));
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
 * @throws ProviderError LEDGER_BEHIND
 */
export async function registerVersion(
  context: Context,
  { connection, ledger }: RelyingParty,
  keys: Keys,
  content: VersionContent,
  old: { readonly sequence: number; readonly ledgerKey: string } | undefined,
): Promise<Version> {
  const versions = await listVersions(context, ledger, keys);
  const last = versions.at(-1);
  if (old && old.ledgerKey === connection.ledgerKey && (last?.sequence ?? 0) < old.sequence) {
    const found = `it knows ${last ? `version ${last.sequence}` : "no version"}, this stack registered ${old.sequence}`;
    const remedy = "Restore its newest backup; to go on with what it has, run `pulumi refresh` first";
    throw new ProviderError("LEDGER_BEHIND", `the ledger lost versions of ${keys.facts.name}: ${found}. ${remedy}`);
  }
  const next = buildDescriptor({
    facts: keys.facts,
    previous: last ? { token: last.token, sequence: last.sequence } : null,
    ledgerKey: connection.ledgerKey,
    ...content,
    releases: content.releases ?? {},
    datasets: content.datasets ?? {},
  });
  if (last?.state === "open") {
    const open = await verifyDescriptor(last.token, keys.facts.ownerPublicKey);
    if (sameContent(open, next)) return last;
  }
  const token = await signDescriptor(next, ownerKey(keys.root));
  context.log.status(`registering version ${next.sequence}`);
  await ledger.registerDescriptor(token);
  return { digest: jwsDigest(token), sequence: next.sequence, token, state: "open" };
}

function sameContent(a: Descriptor, b: Descriptor): boolean {
  const content = ({ sequence: _sequence, predecessor: _predecessor, ...rest }: Descriptor) => jcs(rest);
  return content(a) === content(b);
}

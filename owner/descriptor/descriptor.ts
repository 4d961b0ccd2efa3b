/** The signed public description of one pipeline version (DESIGN §4, point 5), and the owner's order to close one. */
import type { KeyObject } from "node:crypto";
import { base64url } from "../../protocol/bytes";
import { publicKey, rawPublic } from "../../protocol/crypto";
import { SealflowError } from "../../protocol/errors";
import { jwsDigest, signJws, verifyJws } from "../../protocol/jws";
import { pipelineUid } from "../../protocol/keys";
import {
  type Descriptor,
  type DescriptorDataset,
  type DescriptorStep,
  descriptor,
  LOG_RELEASE,
  type Revoke,
  revoke,
} from "../../protocol/messages";
import { parseEdgeName } from "../../protocol/names";
import { parse } from "../../protocol/shape";
import type { PublicFacts } from "../keys";

/** Append only. DESCRIPTOR: its parts do not fit together (all problems are listed). DESCRIPTOR_OWNER: not of this owner. */
export type DescriptorCode = "DESCRIPTOR" | "DESCRIPTOR_OWNER";
export class DescriptorError extends SealflowError<DescriptorCode> {}

/** Thirty days: runs keep their secrets, so outputs can be read again. */
export const DEFAULT_RUN_SECONDS = 30 * 24 * 3600;

export interface BuildDescriptorOptions {
  readonly facts: PublicFacts;
  /** The version before, as signed; null for the first. */
  readonly previous: { readonly token: string; readonly sequence: number } | null;
  readonly ledgerKey: string;
  readonly steps: Readonly<Record<string, DescriptorStep>>;
  readonly datasets: Readonly<Record<string, DescriptorDataset>>;
  /** Release → edge, and recipients by name; `owner` is always added. */
  readonly releases: Readonly<Record<string, { readonly from: string; readonly recipients?: readonly string[] }>>;
  /** Recipients beside the owner: name → raw X25519 key. */
  readonly recipients?: Readonly<Record<string, string>>;
  /** Further run keys, raw Ed25519. */
  readonly runKeys?: readonly string[];
  /** Schedule → jwsDigest of the signed schedule. */
  readonly schedules?: Readonly<Record<string, string>>;
  /** Default 0. */
  readonly drainSeconds?: number;
  /** Default DEFAULT_RUN_SECONDS. */
  readonly runSeconds?: number;
}

/** @throws DescriptorError DESCRIPTOR, or ProtocolError SHAPE. */
export function buildDescriptor(options: BuildDescriptorOptions): Descriptor {
  const { facts, previous } = options;
  const releases: Record<string, unknown> = {};
  for (const [as, { from, recipients = [] }] of Object.entries(options.releases)) {
    releases[as] = { from, recipients: [...new Set(["owner", ...recipients])] };
  }
  const built = parse(
    descriptor,
    {
      v: 1,
      pipelineUid: facts.pipelineUid,
      name: facts.name,
      stackUuid: facts.stackUuid,
      ownerPublicKey: facts.ownerPublicKey,
      ns: facts.ns,
      generation: facts.generation,
      sequence: previous ? previous.sequence + 1 : 1,
      predecessor: previous ? jwsDigest(previous.token) : null,
      ledgerKey: options.ledgerKey,
      runKeys: [...new Set([facts.runKey, ...(options.runKeys ?? [])])],
      recipients: { ...options.recipients, owner: facts.releaseKey },
      steps: { ...options.steps },
      datasets: { ...options.datasets },
      releases,
      ...(options.schedules && Object.keys(options.schedules).length > 0 ? { schedules: options.schedules } : {}),
      drainSeconds: options.drainSeconds ?? 0,
      runSeconds: options.runSeconds ?? DEFAULT_RUN_SECONDS,
    },
    `pipeline "${facts.name}"`,
  );
  const problems = descriptorProblems(built);
  if (problems.length > 0) throw new DescriptorError("DESCRIPTOR", `pipeline "${facts.name}": ${problems.join("; ")}`);
  return built;
}

/** What a well-formed descriptor can still get wrong; empty when it holds together. */
export function descriptorProblems(d: Descriptor): string[] {
  const problems: string[] = [];
  if (pipelineUid(d.ownerPublicKey, d.stackUuid, d.name) !== d.pipelineUid) {
    problems.push("pipelineUid does not follow from owner key, stack and name");
  }
  if (!d.recipients.owner) problems.push("recipients.owner is missing");
  for (const [step, { inputs, outputs, when }] of Object.entries(d.steps)) {
    if (when) problems.push(...conditionProblems(d, `steps.${step}.when`, when.from));
    if (Object.hasOwn(outputs, LOG_RELEASE)) problems.push(`steps.${step}.outputs.log: "log" is reserved`);
    for (const [input, source] of Object.entries(inputs)) {
      const at = `steps.${step}.inputs.${input}`;
      if (source.from !== undefined) problems.push(...edgeProblems(d, at, source.from, source.format));
      else if (source.imported !== undefined) {
        if (source.dataset !== undefined) problems.push(`${at}: is a dataset and an import`);
      } else if (source.dataset === undefined || !Object.hasOwn(d.datasets, source.dataset)) {
        problems.push(`${at}: no dataset "${source.dataset ?? ""}"`);
      } else if (d.datasets[source.dataset]?.format !== source.format) {
        problems.push(
          `${at}: dataset "${source.dataset}" is ${d.datasets[source.dataset]?.format}, not ${source.format}`,
        );
      }
    }
  }
  for (const [as, { from, recipients }] of Object.entries(d.releases)) {
    if (as === LOG_RELEASE) problems.push(`releases.log: "log" is reserved`);
    problems.push(...edgeProblems(d, `releases.${as}`, from));
    for (const name of recipients) {
      if (!Object.hasOwn(d.recipients, name)) problems.push(`releases.${as}: no recipient is called "${name}"`);
    }
  }
  return problems;
}

function conditionProblems(d: Descriptor, at: string, from: string): string[] {
  const problems = edgeProblems(d, at, from, "json");
  const { step, output } = parseEdgeName(from);
  if (problems.length === 0 && d.steps[step]?.outputs[output]?.declassify === undefined) {
    problems.push(`${at}: "${from}" is not declassified`);
  }
  return problems;
}

function edgeProblems(d: Descriptor, at: string, edge: string, format?: string): string[] {
  const { step, output } = parseEdgeName(edge);
  const producer = Object.hasOwn(d.steps, step) ? d.steps[step] : undefined;
  const spec = producer && Object.hasOwn(producer.outputs, output) ? producer.outputs[output] : undefined;
  if (!spec) return [`${at}: there is no "${edge}"`];
  return format !== undefined && spec.format !== format ? [`${at}: "${edge}" is ${spec.format}, not ${format}`] : [];
}

/** @returns compact JWS; its jwsDigest names this version. @throws DescriptorError DESCRIPTOR_OWNER. */
export async function signDescriptor(d: Descriptor, owner: KeyObject): Promise<string> {
  if (rawPublic(owner) !== d.ownerPublicKey) {
    throw new DescriptorError("DESCRIPTOR_OWNER", `pipeline "${d.name}": the key at hand is not its owner's`);
  }
  return signJws("sealflow-descriptor+jwt", d, owner);
}

/**
 * Verifies one signed version.
 * @param ownerPublicKey from outside: a program, a file, the pipeline connection.
 * @throws ProtocolError, or DescriptorError when it is another owner's or does not hold together.
 */
export async function verifyDescriptor(token: string, ownerPublicKey: string): Promise<Descriptor> {
  const d = await verifyJws("sealflow-descriptor+jwt", token, publicKey("Ed25519", ownerPublicKey), descriptor);
  if (d.ownerPublicKey !== ownerPublicKey) {
    throw new DescriptorError("DESCRIPTOR_OWNER", `descriptor ${jwsDigest(token)}: names another owner inside`);
  }
  const problems = descriptorProblems(d);
  if (problems.length > 0)
    throw new DescriptorError("DESCRIPTOR", `descriptor ${jwsDigest(token)}: ${problems.join("; ")}`);
  return d;
}

export interface RevokeOptions {
  /** Of the ledger that it is for. */
  readonly ledgerKey: string;
  readonly pipelineUid: string;
  /** jwsDigest of the version; null closes the pipeline for good. */
  readonly descriptor: string | null;
  /** With `descriptor: null`: delete the objects of all its runs, releases among them. Default false. */
  readonly deleteObjects?: boolean;
  readonly reason: string;
  /** 32 fresh bytes. */
  readonly random: Uint8Array;
}

/** @returns compact JWS for `POST /v1/pipelines/{uid}/revoke`. */
export async function signRevocation(options: RevokeOptions, owner: KeyObject): Promise<string> {
  const content: Revoke = {
    v: 1,
    ledgerKey: options.ledgerKey,
    pipelineUid: options.pipelineUid,
    ownerPublicKey: rawPublic(owner),
    descriptor: options.descriptor,
    ...(options.deleteObjects ? { deleteObjects: true as const } : {}),
    reason: options.reason,
    nonce: base64url(options.random),
  };
  return signJws("sealflow-revoke+jwt", parse(revoke, content, "revocation"), owner);
}

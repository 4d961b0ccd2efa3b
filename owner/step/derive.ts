/**
 * Everything that follows from a root and one step's program (DESIGN §4, points 2 to 4), in one direction:
 * program → programId → initdata → identity → keys → bundle → KBS resources and grant. Deterministic: same arguments,
 * same bytes, so it can be repeated at any time and nothing secret needs to be kept.
 */
import type { GuestSettings } from "../../model";
import { grantId, grantValue, guestBuild, guestDigest, guestPaths, stepGuest } from "../../policy";
import { base64url, utf8 } from "../../protocol/bytes";
import { rawPublic } from "../../protocol/crypto";
import { jwsDigest, signJws } from "../../protocol/jws";
import {
  blind,
  datasetRoot,
  edgeRoot,
  fingerprint,
  importSeed,
  kek,
  logRoot,
  namespaceOf,
  ownerKey,
  parameterSeed,
  publicOf,
  type Root,
  stepSigningSeed,
} from "../../protocol/keys";
import { type Bundle, bundle, type DescriptorStep, type Program, program, programId } from "../../protocol/messages";
import { bundlePath, edgeName, imageKeyPath, parseEdgeName } from "../../protocol/names";
import type { Tee } from "../../protocol/rcar";
import { parse } from "../../protocol/shape";
import { StepError } from "./errors";
import type { SealedImageFacts, StepConnection, StepPlan } from "./plan";

export interface DeriveStepOptions {
  readonly root: Root;
  readonly pipelineUid: string;
  readonly step: StepPlan;
  readonly image: SealedImageFacts;
  readonly connection: StepConnection;
  /** TEE of the grant; `sample` is the simulated one. */
  readonly tee: Tee;
  /** Pipeline input → dataset id, at least for the inputs that this step reads. */
  readonly datasets: Readonly<Record<string, string>>;
  /** Recipient name → raw X25519 key; must have `owner`. */
  readonly recipients: Readonly<Record<string, string>>;
  /** The platform's; default: none. */
  readonly guest?: GuestSettings | undefined;
}

export interface DerivedStep {
  readonly programId: string;
  readonly identity: string;
  /** Compact JWS; secret. */
  readonly bundle: string;
  readonly bundleDigest: string;
  /** Raw Ed25519 key that claims, commits and receipts verify with. */
  readonly publicKey: string;
  /** Raw X25519 key that parameters are encrypted to. */
  readonly parameterKey: string;
  /** What goes into the KBS; bytes are secret. */
  readonly resources: readonly { readonly path: string; readonly bytes: Uint8Array }[];
  readonly grant: { readonly id: string; readonly value: unknown };
  /** Path of the bundle: SEALFLOW_RESOURCE of the step's Job. */
  readonly resource: string;
  /** Base64 of the compressed initdata, for the Job's annotation; public. */
  readonly annotation: string;
  /** This step's entry of the descriptor. */
  readonly descriptorStep: DescriptorStep;
}

/** @throws StepError with every problem of the plan, or ProtocolError SHAPE. */
export async function deriveStep(options: DeriveStepOptions): Promise<DerivedStep> {
  const { root, pipelineUid, step, image, connection, tee } = options;
  const ns = namespaceOf(fingerprint(root));
  const content = programOf(options);
  const secretBlind = blind(root, pipelineUid, step.name);
  const id = programId(secretBlind, content);
  const resource = bundlePath(ns, id);
  const guest = stepGuest({
    tee,
    kbsUrl: connection.kbsUrl,
    caPem: connection.caPem,
    imageReference: image.reference,
    resource,
    ...guestBuild(options.guest),
  });
  const signingSeed = stepSigningSeed(root, pipelineUid, step.name, guest.identity);
  const parameters = parameterSeed(root, pipelineUid, step.name);
  const owner = ownerKey(root);
  const sealed: Bundle = {
    v: 1,
    program: content,
    blind: base64url(secretBlind),
    ns,
    identity: guest.identity,
    signingSeed: base64url(signingSeed),
    parameterSeed: base64url(parameters),
    logRoot: base64url(logRoot(root, pipelineUid, step.name)),
    edgeRoots: edgeRoots(root, pipelineUid, content),
    datasetRoots: datasetRoots(root, content, options.datasets),
    ...importKey(root, pipelineUid, content),
    ledger: { url: connection.ledgerUrl, caPem: connection.caPem, publicKey: connection.ledgerKey },
    ownerPublicKey: rawPublic(owner),
  };
  const token = await signJws("sealflow-bundle+jwt", parse(bundle, sealed, `steps.${step.name}`), owner);
  const keyPath = imageKeyPath(ns, image.kekId);
  const publicKey = publicOf("Ed25519", signingSeed);
  const parameterKey = publicOf("X25519", parameters);
  const bundleDigest = jwsDigest(token);
  return {
    programId: id,
    identity: guest.identity,
    bundle: token,
    bundleDigest,
    publicKey,
    parameterKey,
    resources: [
      { path: resource, bytes: utf8(token) },
      { path: keyPath, bytes: kek(root, image.kekId) },
    ],
    grant: {
      id: grantId(tee, guest.identity),
      value: grantValue({ paths: grantedPaths(resource, keyPath, options.guest), tee }),
    },
    resource,
    annotation: guest.annotation,
    descriptorStep: {
      programId: id,
      identity: guest.identity,
      bundle: bundleDigest,
      publicKey,
      parameterKey,
      inputs: content.inputs,
      outputs: content.outputs,
      limits: content.limits,
      exitClass: content.exitClass,
      ...(content.when ? { when: content.when } : {}),
      ...waivers(content),
    },
  };
}

/** Everything that the guest of a step may read. */
export const grantedPaths = (bundle: string, imageKey: string, guest: GuestSettings | undefined): string[] => [
  ...new Set([bundle, imageKey, ...guestPaths(guest)]),
];

/** The program as programId covers it: exact, with every default written out. @throws StepError, ProtocolError SHAPE. */
export function programOf(options: DeriveStepOptions): Program {
  const { pipelineUid, step, image, connection, recipients } = options;
  const { images, debug } = guestBuild(options.guest);
  const guest = { kbsUrl: connection.kbsUrl, caPem: connection.caPem, ...(images ? { images } : {}), debug };
  const problems: string[] = [];
  if (!recipients.owner) problems.push("recipients: owner is missing");
  const releases = step.releases.map(({ output, as, recipients: names = [] }) => {
    if (!Object.hasOwn(step.outputs, output)) problems.push(`releases.${as}: the step has no output "${output}"`);
    const to: Record<string, string> = {};
    for (const name of new Set(["owner", ...names])) {
      const key = Object.hasOwn(recipients, name) ? recipients[name] : undefined;
      if (key) to[name] = key;
      else if (name !== "owner") problems.push(`releases.${as}: no recipient is called "${name}"`);
    }
    return { output, as, recipients: to };
  });
  for (const [input, source] of Object.entries(step.inputs)) {
    if ([source.from, source.dataset, source.imported].filter((given) => given !== undefined).length !== 1) {
      problems.push(`inputs.${input}: needs one of from, dataset and imported`);
    }
  }
  if (problems.length > 0) {
    throw new StepError("STEP_PLAN", problems.map((problem) => `steps.${step.name}.${problem}`).join("; "));
  }
  const content = {
    v: 1,
    pipelineUid,
    step: step.name,
    command: [...step.command],
    env: { ...step.env },
    inputs: step.inputs,
    outputs: step.outputs,
    releases,
    limits: step.limits,
    ...(step.when ? { when: step.when } : {}),
    image: image.digest.replace(/^sha256:/, ""),
    guest: guestDigest(guest),
    egress: step.egress ?? false,
    exitClass: step.exitClass ?? "visible",
    ...waivers(step),
  };
  return parse(program, content, `steps.${step.name}`);
}

/** Own outputs, and the outputs of other steps that this one reads. */
function edgeRoots(root: Root, pipelineUid: string, content: Program): Bundle["edgeRoots"] {
  const roots: Bundle["edgeRoots"] = {};
  const own = Object.keys(content.outputs).map((output) => ({ step: content.step, output }));
  const read = Object.values(content.inputs).flatMap(({ from }) => (from ? [parseEdgeName(from)] : []));
  for (const { step, output } of [...own, ...read]) {
    roots[edgeName(step, output)] = base64url(edgeRoot(root, pipelineUid, step, output));
  }
  return roots;
}

function datasetRoots(root: Root, content: Program, ids: Readonly<Record<string, string>>): Bundle["datasetRoots"] {
  const roots: Bundle["datasetRoots"] = {};
  for (const { dataset } of Object.values(content.inputs)) {
    if (dataset === undefined) continue;
    const id = Object.hasOwn(ids, dataset) ? ids[dataset] : undefined;
    if (!id) {
      throw new StepError("STEP_PLAN", `steps.${content.step}: pipeline input "${dataset}" has no dataset`);
    }
    roots[dataset] = { id, root: base64url(datasetRoot(root, id)) };
  }
  return roots;
}

/** Only steps that read another pipeline's release can open one. */
function importKey(root: Root, uid: string, content: Program): { importSeed?: string } {
  const reads = Object.values(content.inputs).some(({ imported }) => imported !== undefined);
  return reads ? { importSeed: base64url(importSeed(root, uid)) } : {};
}

type Waivers = { readonly trustProgram?: string | undefined; readonly acceptRollback?: string | undefined };
const waivers = ({ trustProgram, acceptRollback }: Waivers): { trustProgram?: string; acceptRollback?: string } => ({
  ...(trustProgram === undefined ? {} : { trustProgram }),
  ...(acceptRollback === undefined ? {} : { acceptRollback }),
});

import type { GuestSettings } from "../../model";
import { type DerivedStep, deriveStep, grantedPaths, type StepPlan } from "../../owner/step";
import { grantId, grantValue, guestBuild, guestPaths, PolicyError, stepGuest } from "../../policy";
import { jcs } from "../../protocol/canonical";
import { sha256hex } from "../../protocol/crypto";
import { namespaceOf } from "../../protocol/keys";
import { type DescriptorStep, limits, type Program } from "../../protocol/messages";
import { condition, envMap, inputs, name, outputs, reason } from "../../protocol/messages/common";
import { bundlePath, imageKeyPath } from "../../protocol/names";
import { TEES, type Tee } from "../../protocol/rcar";
import { list, literal, text } from "../../protocol/shape";
import { type KeysInput, keysField, openKeys } from "../keys";
import { needPolicies } from "../policies";
import {
  type AtRelyingParty,
  deleteAt,
  needConnection,
  relyingPartyDigest,
  relyingPartyDigestField,
  relyingPartyField,
  withRelyingParty,
} from "../relying-party";
import type { Context } from "../server/context";
import type { Definition, Failure } from "../server/definition";
import { ProviderError } from "../server/errors";
import { shapeFailures } from "../shapes";
import { removeIdentity, retire, runningPrograms } from "../version/retired";
import { isLive, keepLive } from "./live";

interface Inputs extends AtRelyingParty {
  keys: KeysInput;
  step: string;
  command: string[];
  env?: Record<string, string>;
  inputs: Program["inputs"];
  outputs: Program["outputs"];
  releases?: { output: string; as: string; recipients?: string[] }[];
  limits: Program["limits"];
  when?: NonNullable<Program["when"]>;
  egress?: boolean;
  exitClass?: "visible" | "hidden";
  trustProgram?: string;
  acceptRollback?: string;
  image: { digest: string; kekId: string; reference: string; env?: Record<string, string> };
  datasets?: Record<string, string>;
  recipients?: Record<string, string>;
  tee: Tee;
  guest?: GuestSettings;
  relyingPartyDigest?: string;
}

interface Outputs {
  programId: string;
  identity: string;
  entry: DescriptorStep;
}

const SHAPES = {
  step: name,
  command: list(text({ max: 100_000 }), 1000),
  env: envMap,
  inputs,
  outputs,
  limits,
  when: condition,
  exitClass: literal("visible", "hidden"),
  trustProgram: reason,
  acceptRollback: reason,
  tee: literal(...TEES),
};

/** Content-addressed: whatever changes, changes programId and identity, so there is no update, only a new one. */
export const stepIdentity: Definition<Inputs, Outputs> = {
  name: "StepIdentity",
  about: "What one step is allowed to be: its keys in the key broker, released to exactly one attested guest.",
  inputs: {
    keys: keysField,
    step: { type: "string", about: "Name of the step." },
    command: { type: "list", secret: true, about: "Program and its arguments; only owner and guest see them." },
    env: { type: "object", optional: true, secret: true, about: "Environment of the program. Default: none." },
    inputs: { type: "object", about: "Input name to its edge or dataset, and format." },
    outputs: { type: "object", about: "Output name to its format." },
    releases: { type: "list", optional: true, about: "Outputs wrapped to recipients: {output, as, recipients}." },
    limits: { type: "object", about: "{timeoutSeconds, waitSeconds, retryLimit, shards}." },
    when: { type: "object", optional: true, about: "Condition {from: step.output, equals}. Default: always runs." },
    egress: { type: "boolean", optional: true, about: "Whether the program may use the network. Default: false." },
    exitClass: { type: "string", optional: true, about: "`visible` (default) or `hidden`." },
    trustProgram: {
      type: "string",
      optional: true,
      about: "Reason for running the program without isolation from the runner that holds the keys.",
    },
    acceptRollback: { type: "string", optional: true, about: "Reason for accepting scratch space on a disk." },
    image: { type: "object", about: "{digest, kekId, reference, env} of the SealedImage." },
    datasets: { type: "object", optional: true, about: "Pipeline input to dataset id, for the inputs it reads." },
    recipients: { type: "object", optional: true, about: "Recipient name to X25519 key, beside the owner." },
    tee: { type: "string", about: "Kind of guest that gets the keys; `sample` is the simulated one." },
    guest: {
      type: "object",
      optional: true,
      about: "How the platform's guests are set up: {initdataCarrier, images, reads, debugGuests}. Default: none.",
    },
    relyingParty: relyingPartyField,
    relyingPartyDigest: relyingPartyDigestField,
  },
  outputs: {
    programId: { type: "string", about: "Keyed digest of everything the step may do, 64 hex digits." },
    identity: { type: "string", about: "Initdata digest that attestation reports, hex." },
    // It repeats inputs. Put together in the program it would be an output of the SDK's for each of its fields, which is
    // most of what a program with hundreds of steps takes.
    entry: {
      type: "object",
      about:
        "The step in the version's descriptor: programId, identity, digest of the bundle, public keys, inputs, limits.",
    },
  },

  async check(context, news, olds, pending) {
    if (news.image && news.keys) keepLive(imageKeyPath(namespaceOf(news.keys.fingerprint), news.image.kekId));
    const digest = relyingPartyDigest({ context, news, pending }, olds?.relyingPartyDigest);
    const failures = [...shapeFailures(news, SHAPES), ...guestFailures(context, news, pending)];
    return { computed: { relyingPartyDigest: digest }, failures };
  },

  async create(context, inputs) {
    const derived = await derive(context, inputs);
    await withRelyingParty(context, inputs, async (party) => {
      const { kbs } = party;
      await needPolicies(context, party);
      context.log.status("putting keys into the key broker");
      for (const { path, bytes } of derived.resources) await kbs.putResource(path, bytes);
      context.log.status("granting them to the guest");
      await kbs.putGrant(derived.grant.id, derived.grant.value);
    });
    keepLive(derived.resource);
    const { programId, identity } = derived;
    return { id: derived.resource, outputs: { programId, identity, entry: entryOf(inputs, derived) } };
  },

  /** Grants can be read back; resources cannot. A missing or emptied grant counts as a missing identity. */
  async read(context, { inputs, outputs, id }) {
    const image = imageKeyPath(namespaceOf(inputs.keys.fingerprint), inputs.image.kekId);
    const want = grantValue({ paths: grantedPaths(id, image, inputs.guest), tee: inputs.tee });
    const found = await withRelyingParty(context, inputs, ({ kbs }) =>
      kbs.referenceValue(grantId(inputs.tee, outputs.identity)),
    );
    return found !== undefined && jcs(found) === jcs(want) ? outputs : undefined;
  },

  /** What a version in the ledger still lets run is retired instead. The image's key goes with the image. */
  async delete(context, { id: bundle, inputs, outputs }) {
    if (isLive(bundle)) return;
    const { programId, identity } = outputs;
    const grant = grantId(inputs.tee, identity);
    // The state is what says so here, and the admin key may delete what other pipelines have.
    if (bundle !== bundlePath(namespaceOf(inputs.keys.fingerprint), programId)) {
      throw new ProviderError(
        "INPUT",
        `the stack's state names ${bundle}, which is no step of this pipeline. Look who changed the state`,
      );
    }
    await deleteAt(context, inputs, `the keys and grant of step ${inputs.step}`, async (party) => {
      const running = await runningPrograms(context, party, openKeys(context, inputs.keys));
      if (!running.has(programId)) return removeIdentity(party, { grant, bundle });
      const imageKey = imageKeyPath(namespaceOf(inputs.keys.fingerprint), inputs.image.kekId);
      const { pipelineUid } = inputs.keys;
      const { kbsUrl } = party.connection;
      retire(context, { v: 1, pipelineUid, programId, step: inputs.step, kbsUrl, grant, bundle, imageKey });
      context.log.info(
        "keeps its keys while a version in the ledger still lets it run; a later `pulumi up` collects them",
      );
    });
  },
};

function entryOf(step: Inputs, derived: DerivedStep): DescriptorStep {
  const { programId, identity, bundleDigest: bundle, publicKey, parameterKey } = derived;
  const { inputs, outputs, limits, when, exitClass = "visible", trustProgram, acceptRollback } = step;
  const given = {
    ...(when ? { when } : {}),
    ...(trustProgram ? { trustProgram } : {}),
    ...(acceptRollback ? { acceptRollback } : {}),
  };
  return { programId, identity, bundle, publicKey, parameterKey, inputs, outputs, limits, exitClass, ...given };
}

/**
 * What would be found out in the middle of an update: guest settings that do not fit, and initdata that its carrier would
 * cut. Sizes do not depend on values, so what is not known yet is stood in for.
 */
function guestFailures(context: Context, news: Partial<Inputs>, pending: ReadonlySet<string>): Failure[] {
  const { tee, guest, image, step = "", keys } = news;
  if (tee === undefined || pending.has("guest") || pending.has("relyingParty") || !TEES.includes(tee)) return [];
  const digest = sha256hex(step);
  const ns = namespaceOf(keys?.fingerprint ?? digest);
  try {
    guestPaths(guest);
    const { kbsUrl, caPem } = needConnection(context, news.relyingParty);
    stepGuest({
      tee,
      kbsUrl,
      caPem,
      imageReference: image?.reference ?? `${ns}.sealflow.local/${step}-${digest.slice(0, 8)}@sha256:${digest}`,
      resource: bundlePath(ns, sha256hex(digest)),
      ...guestBuild(guest),
    });
    return [];
  } catch (error) {
    // A machine without the relying party's addresses takes what was deployed.
    if (error instanceof ProviderError && error.code === "RELYING_PARTY_UNKNOWN") return [];
    if (!(error instanceof PolicyError)) throw error;
    return [{ property: "guest", reason: error.message }];
  }
}

function derive(context: Context, inputs: Inputs): Promise<DerivedStep> {
  const { root, facts } = openKeys(context, inputs.keys);
  const step: StepPlan = {
    name: inputs.step,
    command: inputs.command,
    env: { ...inputs.image.env, ...inputs.env },
    inputs: inputs.inputs,
    outputs: inputs.outputs,
    releases: inputs.releases ?? [],
    limits: inputs.limits,
    ...(inputs.when === undefined ? {} : { when: inputs.when }),
    ...(inputs.egress === undefined ? {} : { egress: inputs.egress }),
    ...(inputs.exitClass === undefined ? {} : { exitClass: inputs.exitClass }),
    ...(inputs.trustProgram === undefined ? {} : { trustProgram: inputs.trustProgram }),
    ...(inputs.acceptRollback === undefined ? {} : { acceptRollback: inputs.acceptRollback }),
  };
  return deriveStep({
    root,
    pipelineUid: inputs.keys.pipelineUid,
    step,
    image: inputs.image,
    connection: needConnection(context, inputs.relyingParty),
    tee: inputs.tee,
    datasets: inputs.datasets ?? {},
    recipients: { ...inputs.recipients, owner: facts.releaseKey },
    guest: inputs.guest,
  });
}

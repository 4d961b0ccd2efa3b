/** The resources of one pipeline, kind by kind. They render and wire; nothing is computed that is secret. */
import * as path from "node:path";
import type * as pulumi from "@pulumi/pulumi";
import type { FileDataset, GuestSettings, ImageSource, Plan, PlanStep } from "../../model";
import type { KeysReference } from "../../resources/keys-reference";
import { PipelineVersion } from "../../resources/pipeline-version";
import type { AtRelyingParty } from "../../resources/relying-party-reference";
import { SealedDataset } from "../../resources/sealed-dataset";
import { SealedImage } from "../../resources/sealed-image";
import { StepIdentity } from "../../resources/step-identity";
import { childOf } from "../options";
import type { ConfidentialPipelineArgs } from "./confidential-pipeline";
import { StackRelease } from "./from-stack";

export interface Scope {
  readonly name: string;
  readonly args: ConfidentialPipelineArgs;
  readonly plan: Plan;
  readonly keys: KeysReference;
  readonly parent: pulumi.ComponentResource;
  /** Where keys, grants, versions and objects go. */
  readonly at: AtRelyingParty;
}

/** One for each pipeline input; a dataset that the program sealed itself is taken as it is. */
export function sealDatasets({ name, args, plan, keys, parent, at }: Scope): Record<string, SealedDataset> {
  const own = plan.inputs.filter(({ name: input }) => !(args.inputs?.[input] instanceof StackRelease));
  const sealed = own.map(({ name: input, format }) => {
    const source = args.inputs?.[input] as FileDataset | SealedDataset | undefined;
    if (source instanceof SealedDataset || source === undefined) return [input, source];
    const objects = args.deleteObjects ? { deleteObjects: true } : {};
    const inputs = { keys, id: input, format, source, ...objects, ...at };
    return [input, new SealedDataset(`${name}-${input}-data`, inputs, childOf(parent))];
  });
  return Object.fromEntries(sealed);
}

/** Steps that share one source share one image, named after the first of them. */
export function sealImages({ name, args, plan, keys, parent, at }: Scope): Record<string, SealedImage> {
  const bySource = new Map<string, SealedImage>();
  // A clone must still start when Debian has newer packages than the pinned ones; only where nothing is confidential.
  const unpinned = args.environment.platform.confidential ? {} : { unpinnedRunner: "simulated guests only" };
  const { registry } = args.environment;
  const pushed = registry === undefined ? {} : { registry };
  const images = plan.steps.map((step) => {
    const given = args.images?.[step.name];
    if (given) return [step.name, given];
    const source = sourceKey(step.image);
    let image = bySource.get(source);
    if (!image) {
      const runner = args.runner === undefined ? {} : { runner: args.runner };
      const inputs = { keys, name: step.name, source: step.image, ...runner, ...unpinned, ...pushed, ...at };
      image = new SealedImage(`${name}-${step.name}-image`, inputs, childOf(parent));
      bySource.set(source, image);
    }
    return [step.name, image];
  });
  return Object.fromEntries(images);
}

/** The same for two ways of writing one source: `./steps/train` and `steps/train`. */
function sourceKey(image: ImageSource): string {
  const paths = new Set(["path", "base"]);
  const fields = Object.entries(image).map(([key, value]) => [key, paths.has(key) ? path.normalize(value) : value]);
  return JSON.stringify(fields.sort(([a = ""], [b = ""]) => (a < b ? -1 : 1)));
}

export function createIdentities(
  { name, args, plan, keys, parent, at }: Scope,
  images: Record<string, SealedImage>,
  datasets: Record<string, SealedDataset>,
): Record<string, StepIdentity> {
  const { deletedWith } = args.environment.relyingParty;
  const gone = deletedWith === undefined ? {} : { deletedWith };
  const identities = plan.steps.map((step) => {
    const image = images[step.name] as SealedImage;
    const identity = new StepIdentity(
      `${name}-${step.name}`,
      {
        keys,
        step: step.name,
        command: [...step.command],
        ...(Object.keys(step.env).length > 0 ? { env: { ...step.env } } : {}),
        inputs: withReleases(step, args),
        outputs: step.outputs,
        limits: step.limits,
        image: image.facts,
        tee: args.environment.platform.tee,
        ...guestOf(args),
        ...optional(step),
        ...readDatasets(step, datasets),
        ...namedRecipients(step, args),
        ...at,
      },
      childOf(parent, gone),
    );
    return [step.name, identity];
  });
  return Object.fromEntries(identities);
}

/** The platform's guest settings, unless there are none. */
export function guestOf({ environment }: ConfidentialPipelineArgs): { guest?: GuestSettings } {
  const { guest = {} } = environment.platform;
  return Object.keys(guest).length > 0 ? { guest } : {};
}

/** Inputs as the program has them; another stack's release takes the place of a dataset. */
function withReleases(step: PlanStep, { inputs: given = {} }: ConfidentialPipelineArgs): Record<string, object> {
  const sources = Object.entries(step.inputs).map(([input, { dataset, ...rest }]) => {
    const from = dataset === undefined ? undefined : given[dataset];
    if (!(from instanceof StackRelease)) return [input, dataset === undefined ? rest : { dataset, ...rest }];
    const { pipelineUid, ownerPublicKey, ledgerKey } = from.source;
    const imported = { input: dataset, pipelineUid, ownerPublicKey, ledgerKey, release: from.release };
    return [input, { imported, ...rest }];
  });
  return Object.fromEntries(sources);
}

/** Defaults stay out of the state. */
function optional({ releases, when, egress, exitClass, trustProgram, acceptRollback }: PlanStep) {
  return {
    ...(releases.length > 0 ? { releases: [...releases] } : {}),
    ...(when ? { when } : {}),
    ...(egress ? { egress } : {}),
    ...(exitClass === "hidden" ? { exitClass } : {}),
    ...(trustProgram === undefined ? {} : { trustProgram }),
    ...(acceptRollback === undefined ? {} : { acceptRollback }),
  };
}

function readDatasets(step: PlanStep, datasets: Record<string, SealedDataset>) {
  const read = Object.values(step.inputs).flatMap(({ dataset }) => (dataset && datasets[dataset] ? dataset : []));
  if (read.length === 0) return {};
  return { datasets: Object.fromEntries(read.map((input) => [input, datasets[input]?.datasetId ?? input])) };
}

/** A key that only other steps release to is no part of this one. */
function namedRecipients(step: PlanStep, { recipients = {} }: ConfidentialPipelineArgs) {
  const named = new Set(step.releases.flatMap((release) => release.recipients));
  const keys = Object.entries(recipients).filter(([recipient]) => named.has(recipient));
  return keys.length > 0 ? { recipients: Object.fromEntries(keys) } : {};
}

export function createVersion(
  { name, args, plan, keys, parent, at }: Scope,
  identities: Record<string, StepIdentity>,
  datasets: Record<string, SealedDataset>,
): PipelineVersion {
  const parameters = plan.steps.filter((step) => Object.keys(step.parameters).length > 0);
  const backend = args.environment.backend.reference(plan);
  return new PipelineVersion(
    `${name}-version`,
    {
      keys,
      steps: entries(identities),
      datasets: entries(datasets),
      releases: Object.fromEntries(plan.releases.map((r) => [r.name, { from: r.from, recipients: [...r.recipients] }])),
      runSeconds: args.environment.storage.retentionSeconds,
      ...at,
      ...(args.recipients ? { recipients: args.recipients } : {}),
      ...(args.runKeys ? { runKeys: args.runKeys } : {}),
      ...(args.deleteObjects ? { deleteObjects: true } : {}),
      ...(backend ? { backend } : {}),
      ...(args.drainSeconds === undefined ? {} : { drainSeconds: args.drainSeconds }),
      ...(plan.schedules.length > 0
        ? { schedules: Object.fromEntries(plan.schedules.map(({ name, ...schedule }) => [name, schedule])) }
        : {}),
      ...(parameters.length > 0
        ? { parameters: Object.fromEntries(parameters.map((step) => [step.name, step.parameters])) }
        : {}),
    },
    childOf(parent),
  );
}

const entries = <T>(resources: Record<string, { entry: pulumi.Output<T> }>): Record<string, pulumi.Output<T>> =>
  Object.fromEntries(Object.entries(resources).map(([name, { entry }]) => [name, entry]));

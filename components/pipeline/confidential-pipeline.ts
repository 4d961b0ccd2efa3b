import * as pulumi from "@pulumi/pulumi";
import type { FileDataset, PipelineSpec, Plan } from "../../model";
import type { KeysReference } from "../../resources/keys-reference";
import { PipelineKeys } from "../../resources/pipeline-keys";
import type { SealedDataset } from "../../resources/sealed-dataset";
import type { SealedImage } from "../../resources/sealed-image";
import type { Environment } from "../environment";
import { childOf } from "../options";
import { platformWarnings } from "../platform/platform";
import { withoutTraces } from "../traces";
import { checkPlan } from "./check";
import type { StackRelease } from "./from-stack";
import { createIdentities, createVersion, type Scope, sealDatasets, sealImages } from "./parts";

export interface ConfidentialPipelineArgs {
  /** `pipeline(…).toJSON()`, or the same from a file. */
  spec: PipelineSpec;
  /** Pipeline input to its content, or to another stack's release: `fromStack(…)`. @default none */
  inputs?: Record<string, FileDataset | SealedDataset | StackRelease>;
  environment: Environment;
  /** @default new ones, with the root secret in Pulumi's encrypted state */
  keys?: PipelineKeys;
  /**
   * Generation of the keys made here: count it up to rotate them. Old runs still verify and open.
   * @default what `sealflow keys rotate` wrote into the stack's configuration, else 1
   */
  keyGeneration?: number;
  /** Step to an image that the program sealed itself, with the same keys. @default sealed from the step's source */
  images?: Record<string, SealedImage>;
  /** Version of the runner layer, for every image. @default as SealedImage's */
  runner?: string;
  /** Recipient name to X25519 public key (32 bytes, base64url), for releases that name it. @default none */
  recipients?: Record<string, string>;
  /** Ed25519 public keys that may open runs, beside the pipeline's own. @default none */
  runKeys?: string[];
  /** Seconds that runs of the version before may go on after a change. @default 0: they are closed at once */
  drainSeconds?: number;
  /** On destroy, delete sealed datasets and everything that runs stored, releases among it. @default false */
  deleteObjects?: boolean;
}

/** A pipeline whose images, edges and keys open only inside attested guests. */
export class ConfidentialPipeline extends pulumi.ComponentResource {
  /** Self-certifying id of the pipeline. */
  readonly pipelineUid: pulumi.Output<string>;
  /** `verify` takes it from here. */
  readonly ownerPublicKey: pulumi.Output<string>;
  /** Ed25519 key of the ledger that has it; `verify` and other stacks' `fromStack` take it from here. */
  readonly ledgerKey: pulumi.Output<string>;
  /** X25519 key of this pipeline as a recipient: another one that lists it lets this one read its releases. */
  readonly recipientKey: pulumi.Output<string>;
  /** Digest of the registered version. */
  readonly version: pulumi.Output<string>;
  /** Step to the initdata digest that attestation reports. */
  readonly identities: pulumi.Output<Record<string, string>>;
  /** Public file for `sealflow run`, relative to the project. */
  readonly connectionFile: pulumi.Output<string>;
  /** Resolves when the pipeline can run. */
  readonly ready: pulumi.Output<boolean>;

  constructor(name: string, args: ConfidentialPipelineArgs, opts?: pulumi.ComponentResourceOptions) {
    // No inputs: the spec has commands and parameters, which belong into no state.
    super("sealflow:index:ConfidentialPipeline", name, {}, opts);
    const plan = checkPlan(name, args);
    sayWaivers(plan, this);
    for (const text of platformWarnings(args.environment.platform)) pulumi.log.warn(text, this);
    const keyGeneration = generationOf(plan.name, args);
    const keys =
      args.keys ?? createKeys(name, plan, { ...args, ...(keyGeneration === undefined ? {} : { keyGeneration }) }, this);
    const { reference } = args.environment.relyingParty;
    const at = reference ? { relyingParty: reference } : {};
    const scope: Scope = { name, args, plan, keys: ofPipeline(plan.name, keys), parent: this, at };
    const { identities, version, workload } = withoutTraces(() => {
      const datasets = sealDatasets(scope);
      const images = sealImages(scope);
      const identities = createIdentities(scope, images, datasets);
      const version = createVersion(scope, identities, datasets);
      const workload = args.environment.backend.createWorkload(scope, { images, identities, version });
      return { identities, version, workload };
    });

    this.pipelineUid = keys.pipelineUid;
    this.ownerPublicKey = keys.ownerPublicKey;
    this.ledgerKey = version.ledgerKey;
    this.recipientKey = keys.recipientKey;
    this.version = version.digest;
    this.identities = pulumi.output(
      Object.fromEntries(Object.entries(identities).map(([step, { identity }]) => [step, identity])),
    );
    this.connectionFile = version.connectionFile;
    this.ready = pulumi.all([version.digest, workload]).apply(() => true);
    this.registerOutputs({
      pipelineUid: this.pipelineUid,
      ownerPublicKey: this.ownerPublicKey,
      ledgerKey: this.ledgerKey,
      recipientKey: this.recipientKey,
      version: this.version,
      identities: this.identities,
      connectionFile: this.connectionFile,
    });
  }
}

/** Of the program or of the stack's configuration, never of both: each could undo the other's rotation. */
function generationOf(pipeline: string, { keys, keyGeneration }: ConfidentialPipelineArgs): number | undefined {
  const config = new pulumi.Config("sealflow-keys");
  const rotated = config.getNumber(pipeline);
  if (rotated === undefined) return keyGeneration;
  const given = keys ? "the program gives `keys`" : `the program says keyGeneration ${keyGeneration}`;
  if (!keys && (keyGeneration === undefined || keyGeneration === rotated)) return rotated;
  throw new pulumi.RunError(
    `Pipeline "${pipeline}": keyGeneration: ${given}, and the stack's configuration ${config.name}:${pipeline} is ${rotated}. ` +
      `Keep one of them: "pulumi config rm ${config.name}:${pipeline}" takes the configuration's away`,
  );
}

/** On this machine the caller's own keys are written to files; elsewhere losing the root is made hard. */
function createKeys(
  name: string,
  plan: Plan,
  { environment, keyGeneration }: ConfidentialPipelineArgs,
  parent: pulumi.ComponentResource,
): PipelineKeys {
  const local = !environment.platform.confidential;
  const protect = local ? {} : { protect: true };
  const keyArgs = {
    pipeline: plan.name,
    keyFiles: local,
    ...(local ? { disposable: true } : {}),
    ...(keyGeneration === undefined ? {} : { generation: keyGeneration }),
  };
  return new PipelineKeys(`${name}-keys`, keyArgs, childOf(parent, protect));
}

/** Keys are one pipeline's: its name is part of its id. Known only when the keys are, so it is checked on the way. */
function ofPipeline(name: string, keys: PipelineKeys): KeysReference {
  const pipeline = keys.pipeline.apply((found) => {
    if (found === name) return found;
    throw new pulumi.RunError(`Pipeline "${name}": keys: these are the keys of pipeline "${found}". Make others`);
  });
  return { ...keys.reference, pipeline };
}

/** Every protection that the program switched off is said at each preview and update. */
function sayWaivers(plan: Plan, parent: pulumi.ComponentResource): void {
  for (const { name, trustProgram, acceptRollback, outputs } of plan.steps) {
    const say = (what: string, reason: string) => pulumi.log.warn(`step "${name}" ${what}: ${reason}`, parent);
    if (trustProgram) say("runs without isolation from the runner that holds its keys", trustProgram);
    if (acceptRollback) say("uses scratch space that the host can roll back", acceptRollback);
    for (const [output, { allowUnsafeFormat, declassify }] of Object.entries(outputs)) {
      if (allowUnsafeFormat) say(`may write pickles to "${output}"`, allowUnsafeFormat);
      if (declassify) say(`lets everybody learn "${output}", which is true or false`, declassify);
    }
  }
}

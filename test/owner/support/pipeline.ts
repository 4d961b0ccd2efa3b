/** A small pipeline made with protocol code and owner/ alone: split → {train, count} → report. No service runs. */
import { createHash } from "node:crypto";
import { buildDescriptor, signDescriptor } from "../../../owner/descriptor";
import { type PublicFacts, publicFacts } from "../../../owner/keys";
import { privateKey, rawPublic } from "../../../protocol/crypto";
import { ownerSigningKey, parameterPublic, publicOf, type Root, stepSigningSeed } from "../../../protocol/keys";
import type { Descriptor, DescriptorStep } from "../../../protocol/messages";

export const bytes = (label: string): Uint8Array => new Uint8Array(createHash("sha256").update(label).digest());
export const hex = (label: string): string => createHash("sha256").update(label).digest("hex");

export const LIMITS = { timeoutSeconds: 60, waitSeconds: 60, retryLimit: 1, shards: 1 };

type Sources = DescriptorStep["inputs"];
type Outputs = DescriptorStep["outputs"];

export const STEPS: Record<string, { inputs: Sources; outputs: Outputs; shards?: number }> = {
  split: {
    inputs: { mails: { dataset: "mails", format: "jsonl" } },
    outputs: { train: { format: "jsonl" }, test: { format: "jsonl" } },
  },
  train: { inputs: { data: { from: "split.train", format: "jsonl" } }, outputs: { model: { format: "json" } } },
  count: {
    inputs: { data: { from: "split.test", format: "jsonl" } },
    outputs: { part: { format: "json" } },
    shards: 2,
  },
  report: {
    inputs: {
      model: { from: "train.model", format: "json" },
      parts: { from: "count.part", format: "json", collect: true },
    },
    outputs: { metrics: { format: "json" } },
  },
};

export interface World {
  readonly root: Root;
  readonly facts: PublicFacts;
  readonly ledgerSeed: Uint8Array;
  readonly ledgerKey: string;
}

export function makeWorld(label: string): World {
  const root = { secret: bytes(`${label} root`), generation: 1 };
  const ledgerSeed = bytes(`${label} ledger`);
  return {
    root,
    facts: publicFacts(root, hex(`${label} stack`).slice(0, 32), "spam"),
    ledgerSeed,
    ledgerKey: rawPublic(privateKey("Ed25519", ledgerSeed)),
  };
}

export function descriptorSteps(world: World, salt = ""): Record<string, DescriptorStep> {
  const steps: Record<string, DescriptorStep> = {};
  for (const [step, { inputs, outputs, shards = 1 }] of Object.entries(STEPS)) {
    const identity = hex(`identity ${step}${salt}`);
    steps[step] = {
      programId: hex(`program ${step}${salt}`),
      identity,
      bundle: hex(`bundle ${step}${salt}`),
      publicKey: publicOf("Ed25519", stepSigningSeed(world.root, world.facts.pipelineUid, step, identity)),
      parameterKey: parameterPublic(world.root, world.facts.pipelineUid, step),
      inputs,
      outputs,
      limits: { ...LIMITS, shards },
      exitClass: "visible",
    };
  }
  return steps;
}

export const DATASET = {
  format: "jsonl" as const,
  id: "mails",
  contentDigest: hex("content"),
  digest: hex("mails ciphertext"),
  size: 1000,
  object: `datasets/${hex("mails ciphertext")}`,
};

export async function makeVersion(
  world: World,
  previous: { token: string; sequence: number } | null,
  salt = "",
  change: (d: Descriptor) => Descriptor = (d) => d,
): Promise<{ descriptor: Descriptor; token: string }> {
  const built = buildDescriptor({
    facts: world.facts,
    previous,
    ledgerKey: world.ledgerKey,
    steps: descriptorSteps(world, salt),
    datasets: { mails: DATASET },
    releases: { metrics: { from: "report.metrics" }, model: { from: "train.model" } },
  });
  const descriptor = change(built);
  return { descriptor, token: await signDescriptor(descriptor, ownerSigningKey(world.root)) };
}

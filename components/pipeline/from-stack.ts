import * as pulumi from "@pulumi/pulumi";

/** What another stack exports of its ConfidentialPipeline, as far as a reader needs it. All of it is public. */
export interface ReleaseSource {
  readonly pipelineUid: string;
  readonly ownerPublicKey: string;
  readonly ledgerKey: string;
}

/** Another pipeline's release as an input: `sealflow run` pins one run of it, the guest proves and opens it. */
export class StackRelease {
  constructor(
    /** For messages. */
    readonly stack: string,
    readonly release: string,
    readonly source: pulumi.Output<ReleaseSource>,
  ) {}
}

/** One StackReference for each stack: two of one name are an error of Pulumi. */
const references = new Map<string, pulumi.StackReference>();

/**
 * A release of a pipeline of another stack, as an input here. The producer's program exports its ConfidentialPipeline and
 * lists this pipeline's `recipientKey` among its recipients.
 * @param stack fully qualified, such as `org/project/prod`
 * @param pipeline name of the stack output that is the ConfidentialPipeline
 * @param release name of the release; of an output without shards
 */
export function fromStack(stack: string, pipeline: string, release: string): StackRelease {
  const reference = references.get(stack) ?? new pulumi.StackReference(stack);
  references.set(stack, reference);
  const source = reference.requireOutput(pipeline).apply((exported: unknown) => sourceOf(exported, stack, pipeline));
  return new StackRelease(stack, release, source);
}

const FORMS = {
  pipelineUid: /^[0-9a-f]{64}$/,
  ownerPublicKey: /^[A-Za-z0-9_-]{43}$/,
  ledgerKey: /^[A-Za-z0-9_-]{43}$/,
} as const;

/** @throws RunError when the output is no ConfidentialPipeline. */
function sourceOf(exported: unknown, stack: string, pipeline: string): ReleaseSource {
  const fields = (typeof exported === "object" && exported !== null ? exported : {}) as Record<string, unknown>;
  const { pipelineUid, ownerPublicKey, ledgerKey } = fields;
  const missing = Object.entries(FORMS).filter(([name, form]) => !form.test(String(fields[name])));
  if (missing.length > 0) {
    const names = missing.map(([name]) => name).join(", ");
    throw new pulumi.RunError(
      `fromStack: output "${pipeline}" of ${stack} is no ConfidentialPipeline (${names} missing). Export it there: export const ${pipeline} = new ConfidentialPipeline(…)`,
    );
  }
  return {
    pipelineUid: String(pipelineUid),
    ownerPublicKey: String(ownerPublicKey),
    ledgerKey: String(ledgerKey),
  };
}

import * as pulumi from "@pulumi/pulumi";

export interface EncryptedStorageArgs {
  /** Where sealed objects are. `fs`: the folder of the local ledger. @default "fs" */
  kind?: string;
  /**
   * Seconds after which the secrets of a run are deleted, from its opening; what was not released then cannot be read
   * again. 60 to ten years. @default 2592000 (30 days)
   */
  retentionSeconds?: number;
}

const KINDS = ["fs"];
const RETENTION = { least: 60, most: 315_360_000, usual: 2_592_000 };

/** Where edges, datasets and releases are kept, encrypted before they get there. */
export class EncryptedStorage extends pulumi.ComponentResource {
  readonly kind: string;
  readonly retentionSeconds: number;

  constructor(name: string, args: EncryptedStorageArgs = {}, opts?: pulumi.ComponentResourceOptions) {
    super("sealflow:index:EncryptedStorage", name, {}, opts);
    const { kind = "fs", retentionSeconds = RETENTION.usual } = args;
    const problems = [
      ...(KINDS.includes(kind) ? [] : [`kind: "${kind}" is not available. Use one of: ${KINDS.join(", ")}`]),
      ...(Number.isInteger(retentionSeconds) &&
      retentionSeconds >= RETENTION.least &&
      retentionSeconds <= RETENTION.most
        ? []
        : [`retentionSeconds: ${retentionSeconds} is not a whole number from ${RETENTION.least} to ${RETENTION.most}`]),
    ];
    if (problems.length > 0)
      throw new pulumi.RunError(problems.map((p) => `EncryptedStorage "${name}": ${p}`).join("\n"));
    this.kind = kind;
    this.retentionSeconds = retentionSeconds;
    this.registerOutputs({ kind, retentionSeconds });
  }
}

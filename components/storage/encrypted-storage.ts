import * as pulumi from "@pulumi/pulumi";
import { RETENTION, retentionProblems } from "./retention";

/** What an environment needs of a storage, whichever component made it. */
export interface StorageOutputs {
  /** `fs`, `s3` or `azure-blob`. */
  readonly kind: string;
  readonly retentionSeconds: number;
  /** For the ledger's setting (RunLedger's `storage`); undefined: the ledger's own folder. */
  readonly url?: pulumi.Input<string> | undefined;
}

export interface EncryptedStorageArgs {
  /** Where sealed objects are. `fs`: the folder of the ledger; `s3`: a bucket that exists. @default "fs" */
  kind?: string;
  /** Of the bucket, at any S3 endpoint: `s3://<bucket>?endpoint=https://…`. No credentials. @default none */
  url?: string;
  /**
   * Seconds after which the secrets of a run are deleted, from its opening; what was not released then cannot be read
   * again. 60 to ten years. @default 2592000 (30 days)
   */
  retentionSeconds?: number;
}

const KINDS = ["fs", "s3"];

/** Where edges, datasets and releases are kept, encrypted before they get there. */
export class EncryptedStorage extends pulumi.ComponentResource implements StorageOutputs {
  readonly kind: string;
  readonly retentionSeconds: number;
  /** For the ledger's setting; undefined: the ledger's own folder. */
  readonly url: string | undefined;

  constructor(name: string, args: EncryptedStorageArgs = {}, opts?: pulumi.ComponentResourceOptions) {
    super("sealflow:index:EncryptedStorage", name, {}, opts);
    const { kind = "fs", retentionSeconds = RETENTION.usual, url } = args;
    const problems = [...kindProblems(kind, url), ...retentionProblems(retentionSeconds)];
    if (problems.length > 0)
      throw new pulumi.RunError(problems.map((p) => `EncryptedStorage "${name}": ${p}`).join("\n"));
    this.kind = kind;
    this.retentionSeconds = retentionSeconds;
    this.url = url;
    this.registerOutputs({ kind, retentionSeconds });
  }
}

function kindProblems(kind: string, url: string | undefined): string[] {
  if (!KINDS.includes(kind)) return [`kind: "${kind}" is not available. Use one of: ${KINDS.join(", ")}`];
  if (kind === "fs")
    return url === undefined ? [] : ["url: the ledger's own folder has none. Remove it, or say kind: s3"];
  if (url === undefined) return ["url: missing. Give s3://<bucket>?endpoint=https://…, as the ledger takes it"];
  if (/\/\/[^/]*@/.test(url)) return ["url: holds credentials. Give them to the ledger by its environment"];
  return url.startsWith("s3://") ? [] : ["url: is no S3 bucket. Give s3://<bucket>?endpoint=https://…"];
}

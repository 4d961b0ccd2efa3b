import * as kms from "@pulumi/aws/kms";
import * as s3 from "@pulumi/aws/s3";
import * as pulumi from "@pulumi/pulumi";
import { childOf } from "../options";
import { ownerTags } from "../platform/peer-pods";
import type { StorageOutputs } from "../storage/encrypted-storage";
import { expiryDays, RETENTION, retentionProblems } from "../storage/retention";
import { bucketPolicy, keyPolicy } from "./bucket-policy";
import { regionOf } from "./check";

export interface EncryptedBucketArgs {
  /** ARN of the ledger's role: alone it may read and write objects. Guests and owners get signed URLs from it. */
  ledgerRoleArn: pulumi.Input<string>;
  /** @default config `aws:region` */
  region?: string;
  /** Seconds after which the secrets of a run are deleted. 60 to ten years. @default 2592000 (30 days) */
  retentionSeconds?: number;
  /** On destroy, delete the bucket with all objects. @default false: destroy stops at a bucket that is not empty */
  deleteObjects?: boolean;
  /** @default none */
  tags?: Record<string, string>;
}

/** Days for which a deleted or replaced object can be brought back by whoever runs the account; it stays ciphertext. */
const UNDELETE_DAYS = 1;

/**
 * Storage of sealed objects in S3. What lies there is encrypted before it arrives; bucket and KMS key are a second wall.
 * The ledger deletes objects of a run at the end of its retention; the bucket drops what it forgot, old versions and
 * broken uploads.
 */
export class EncryptedBucket extends pulumi.ComponentResource implements StorageOutputs {
  readonly kind: string;
  readonly retentionSeconds: number;
  readonly bucketName: pulumi.Output<string>;
  readonly keyArn: pulumi.Output<string>;
  /** For the ledger's setting: `s3://<bucket>?region=…`. */
  readonly url: pulumi.Output<string>;

  constructor(name: string, args: EncryptedBucketArgs, opts?: pulumi.ComponentResourceOptions) {
    super("sealflow:index:EncryptedBucket", name, {}, opts);
    const region = regionOf(args);
    this.kind = "s3";
    this.retentionSeconds = args.retentionSeconds ?? RETENTION.usual;
    check(name, args, this.retentionSeconds);
    const ledgerRoleArn = pulumi.output(args.ledgerRoleArn).apply((arn) => {
      const problem = roleProblem(arn);
      if (problem !== undefined) throw new pulumi.RunError(`EncryptedBucket "${name}": ${problem}`);
      return arn;
    });

    const tags = ownerTags(name, args.tags);
    const key = new kms.Key(
      `${name}-key`,
      {
        description: "Second wall around sealed objects",
        enableKeyRotation: true,
        deletionWindowInDays: 30,
        policy: keyPolicy(ledgerRoleArn),
        tags,
      },
      childOf(this),
    );
    // After the key: a destroy that stops at a bucket with objects must not take away what decrypts them.
    const bucket = new s3.Bucket(
      `${name}-bucket`,
      { forceDestroy: args.deleteObjects ?? false, tags },
      childOf(this, { dependsOn: key }),
    );
    const policy = closeBucket(name, bucket, ledgerRoleArn, this);
    keepShort(name, bucket, key, this.retentionSeconds, this);
    this.bucketName = bucket.bucket;
    this.keyArn = key.arn;
    // Nobody is told of the bucket before it is closed.
    this.url = pulumi.all([bucket.bucket, policy.id]).apply(([found]) => `s3://${found}?region=${region}`);
    this.registerOutputs({ kind: this.kind, retentionSeconds: this.retentionSeconds, url: this.url });
  }
}

const ROLE = /^arn:aws[a-z-]*:iam::[0-9]{12}:role\/[\w+=,.@/-]+$/;

/** What is no role would let in nobody, or more than the ledger. @returns one line. */
const roleProblem = (arn: unknown): string | undefined =>
  typeof arn === "string" && ROLE.test(arn)
    ? undefined
    : `ledgerRoleArn: ${JSON.stringify(arn) ?? "missing"} is no role. Give arn:aws:iam::<account>:role/<name>`;

function check(name: string, args: EncryptedBucketArgs, retentionSeconds: number): void {
  const { ledgerRoleArn } = args;
  const problem = typeof ledgerRoleArn === "object" ? undefined : roleProblem(ledgerRoleArn);
  const problems = [
    ...(regionOf(args) === undefined ? ["region: missing. Give it, or set aws:region"] : []),
    ...(problem === undefined ? [] : [problem]),
    ...retentionProblems(retentionSeconds),
  ];
  if (problems.length > 0) throw new pulumi.RunError(problems.map((p) => `EncryptedBucket "${name}": ${p}`).join("\n"));
}

/** Not public, by no list and no policy; TLS only; objects for the ledger's role alone. */
function closeBucket(
  name: string,
  bucket: s3.Bucket,
  ledgerRoleArn: pulumi.Input<string>,
  parent: pulumi.ComponentResource,
): s3.BucketPolicy {
  const owner = new s3.BucketOwnershipControls(
    `${name}-ownership`,
    { bucket: bucket.bucket, rule: { objectOwnership: "BucketOwnerEnforced" } },
    childOf(parent),
  );
  const block = new s3.BucketPublicAccessBlock(
    `${name}-not-public`,
    {
      bucket: bucket.bucket,
      blockPublicAcls: true,
      blockPublicPolicy: true,
      ignorePublicAcls: true,
      restrictPublicBuckets: true,
    },
    childOf(parent, { dependsOn: owner }),
  );
  return new s3.BucketPolicy(
    `${name}-policy`,
    { bucket: bucket.bucket, policy: bucketPolicy(bucket.arn, ledgerRoleArn) },
    childOf(parent, { dependsOn: block }),
  );
}

/** Encrypted with the key; what runs left, old versions and broken uploads go. */
function keepShort(
  name: string,
  bucket: s3.Bucket,
  key: kms.Key,
  retentionSeconds: number,
  parent: pulumi.ComponentResource,
): void {
  const of = { bucket: bucket.bucket };
  new s3.BucketServerSideEncryptionConfiguration(
    `${name}-encryption`,
    {
      ...of,
      rules: [
        {
          applyServerSideEncryptionByDefault: { sseAlgorithm: "aws:kms", kmsMasterKeyId: key.arn },
          bucketKeyEnabled: true,
        },
      ],
    },
    childOf(parent),
  );
  const versions = new s3.BucketVersioning(
    `${name}-versions`,
    { ...of, versioningConfiguration: { status: "Enabled" } },
    childOf(parent),
  );
  new s3.BucketLifecycleConfiguration(
    `${name}-lifecycle`,
    {
      ...of,
      rules: [
        {
          // Datasets live beside, and as long as their pipeline.
          id: "runs-after-their-retention",
          status: "Enabled",
          filter: { prefix: "runs/" },
          expiration: { days: expiryDays(retentionSeconds) },
        },
        {
          id: "old-versions-and-broken-uploads",
          status: "Enabled",
          filter: { prefix: "" },
          expiration: { expiredObjectDeleteMarker: true },
          noncurrentVersionExpiration: { noncurrentDays: UNDELETE_DAYS },
          abortIncompleteMultipartUpload: { daysAfterInitiation: 7 },
        },
      ],
    },
    childOf(parent, { dependsOn: versions }),
  );
}

/** Who may do what with a bucket of sealed objects and its key. */
import { getCallerIdentityOutput } from "@pulumi/aws/getCallerIdentity";
import * as pulumi from "@pulumi/pulumi";
import { policyText } from "./roles";

const OBJECTS = [
  "s3:GetObject",
  "s3:PutObject",
  "s3:DeleteObject",
  "s3:AbortMultipartUpload",
  "s3:ListMultipartUploadParts",
];
/** Everybody's but the ledger's: of versions as well, which the ledger never names. */
const CLOSED = ["s3:GetObject*", "s3:PutObject*", "s3:DeleteObject*", "s3:RestoreObject", "s3:ReplicateObject"].concat([
  "s3:ReplicateDelete",
  "s3:AbortMultipartUpload",
  "s3:ListMultipartUploadParts",
]);
const BUCKET = ["s3:ListBucket", "s3:ListBucketMultipartUploads"];

/**
 * Denials win over everything that others allow in the account. They name objects only, so that whoever administers the
 * bucket can still delete it.
 */
export const bucketPolicy = (
  bucketArn: pulumi.Input<string>,
  ledgerRoleArn: pulumi.Input<string>,
): pulumi.Output<string> =>
  pulumi.all([bucketArn, ledgerRoleArn]).apply(([bucket, role]) =>
    policyText([
      {
        Sid: "TlsOnly",
        Effect: "Deny",
        Principal: "*",
        Action: "s3:*",
        Resource: [bucket, `${bucket}/*`],
        Condition: { Bool: { "aws:SecureTransport": "false" } },
      },
      {
        Sid: "ObjectsForLedgerOnly",
        Effect: "Deny",
        Principal: "*",
        Action: CLOSED,
        Resource: `${bucket}/*`,
        Condition: { StringNotEquals: { "aws:PrincipalArn": role } },
      },
      { Sid: "LedgerObjects", Effect: "Allow", Principal: { AWS: role }, Action: OBJECTS, Resource: `${bucket}/*` },
      { Sid: "LedgerBucket", Effect: "Allow", Principal: { AWS: role }, Action: BUCKET, Resource: bucket },
    ]),
  );

/**
 * What keeping the key takes, word by word. No grants: whoever may make one gives himself the use of the key, and no policy
 * shows it. Whoever may change the policy still can, and everybody sees that.
 */
const ADMINISTER = [
  ...["DescribeKey", "GetKeyPolicy", "PutKeyPolicy", "ListKeyPolicies", "ListGrants", "RevokeGrant"],
  ...["GetKeyRotationStatus", "EnableKeyRotation", "DisableKeyRotation", "ListKeyRotations", "UpdateKeyDescription"],
  ...["ListResourceTags", "TagResource", "UntagResource"],
  ...["EnableKey", "DisableKey", "ScheduleKeyDeletion", "CancelKeyDeletion"],
].map((action) => `kms:${action}`);

/** The account administers the key; the ledger's role alone uses it. */
export const keyStatements = (account: string, role: string): object[] => [
  {
    Sid: "Administer",
    Effect: "Allow",
    Principal: { AWS: `arn:aws:iam::${account}:root` },
    Action: ADMINISTER,
    Resource: "*",
  },
  {
    Sid: "Use",
    Effect: "Allow",
    Principal: { AWS: role },
    Action: ["kms:Decrypt", "kms:GenerateDataKey"],
    Resource: "*",
  },
];

export const keyPolicy = (ledgerRoleArn: pulumi.Input<string>): pulumi.Output<string> =>
  pulumi
    .all([getCallerIdentityOutput().accountId, ledgerRoleArn])
    .apply(([account, role]) => policyText(keyStatements(account, role)));

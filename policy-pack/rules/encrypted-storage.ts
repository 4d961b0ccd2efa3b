/**
 * Sealed objects are ciphertext whatever the store does; the store's own walls keep sizes, names and deletions from
 * strangers. So a store that Sealflow's components make is closed, or refused.
 */
import { type Rule, type Seen, UNKNOWN, type Violation } from "../types";
import { isFields } from "../workloads";

export const encryptedStorage: Rule = {
  name: "sealflow-closed-storage",
  description: "Stores of sealed objects are encrypted at rest, reached by TLS only, and never public.",
  reason: "whoever lists or deletes objects learns sizes and ends runs",
  remedy:
    "make stores with EncryptedBucket of sealflow/aws or EncryptedContainer of sealflow/azure, and leave their protections on",
  check: (resource) => [...publicAccess(resource), ...account(resource)],
  checkStack: unprotected,
};

/** Resources that must stand beside a bucket, by type, with what each is for. */
const BESIDE: Readonly<Record<string, string>> = {
  BucketPublicAccessBlock: "nothing keeps it from becoming public",
  BucketServerSideEncryptionConfiguration: "objects are not encrypted at rest with a key of its own",
  BucketPolicy: "plain HTTP is not refused",
};
const PUBLIC_ACCESS = ["blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"];

const STORES = new Set(["sealflow:index:EncryptedBucket", "sealflow:index:EncryptedContainer"]);
const ofStorage = ({ parentTypes }: Seen): boolean => parentTypes.some((type) => STORES.has(type));
/** `aws:s3/bucketPolicy:BucketPolicy` → `BucketPolicy`; S3's older V2 types count as the same. */
const s3Kind = ({ type }: Seen): string | undefined => /^aws:s3\/\w+:(\w+?)(?:V2)?$/.exec(type)?.[1];

function unprotected(resources: readonly Seen[]): Violation[] {
  const ours = resources.filter((resource) => ofStorage(resource) && s3Kind(resource) !== undefined);
  return ours
    .filter((resource) => s3Kind(resource) === "Bucket")
    .flatMap(({ name, urn, parent }) => {
      const beside = ours.filter((other) => other.parent === parent).map(s3Kind);
      return Object.entries(BESIDE)
        .filter(([kind]) => !beside.includes(kind))
        .map(([kind, why]) => ({ urn, message: `${name}: no ${kind} beside it: ${why}` }));
    });
}

function publicAccess(resource: Seen): Violation[] {
  if (!ofStorage(resource) || s3Kind(resource) !== "BucketPublicAccessBlock") return [];
  const { name, urn, props } = resource;
  const open = PUBLIC_ACCESS.filter((flag) => props[flag] !== true && props[flag] !== UNKNOWN);
  return open.length === 0 ? [] : [{ urn, message: `${name}: ${open.join(", ")}: not true` }];
}

function account(resource: Seen): Violation[] {
  const { type, name, urn, props } = resource;
  if (!ofStorage(resource) || !/^azure-native:storage(\/v\w+)?:StorageAccount$/.test(type)) return [];
  const rules = isFields(props.networkRuleSet) ? props.networkRuleSet : {};
  const problems = [
    ...(props.allowBlobPublicAccess === false ? [] : ["allowBlobPublicAccess is not false"]),
    ...(props.allowSharedKeyAccess === false
      ? []
      : ["allowSharedKeyAccess is not false, so account keys read everything"]),
    ...(props.enableHttpsTrafficOnly === true ? [] : ["enableHttpsTrafficOnly is not true"]),
    ...(props.minimumTlsVersion === "TLS1_2" || props.minimumTlsVersion === "TLS1_3"
      ? []
      : ["minimumTlsVersion is below TLS1_2"]),
    ...(rules.bypass === "Logging, Metrics, AzureServices"
      ? ["networkRuleSet.bypass lets every Azure service in"]
      : []),
  ];
  return problems.map((problem) => ({ urn, message: `${name}: ${problem}` }));
}

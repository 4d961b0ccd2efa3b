import * as storage from "@pulumi/azure-native/storage";
import * as pulumi from "@pulumi/pulumi";
import { childOf } from "../options";
import { ownerTags } from "../platform/peer-pods";
import type { StorageOutputs } from "../storage/encrypted-storage";
import { expiryDays, RETENTION, retentionProblems } from "../storage/retention";
import { assignRole, ROLES } from "./roles";

export interface EncryptedContainerArgs {
  resourceGroupName: pulumi.Input<string>;
  /** Azure location, such as `eastus`. */
  location: string;
  /** Principal (object) id of the ledger's managed identity: alone it may read and write objects. */
  ledgerPrincipalId: pulumi.Input<string>;
  /** Seconds after which the secrets of a run are deleted. 60 to ten years. @default 2592000 (30 days) */
  retentionSeconds?: number;
  /**
   * The account may be deleted with all objects: by destroy, or where another location or group replaces it.
   * @default false: Pulumi stops at it
   */
  deleteObjects?: boolean;
  /** @default none */
  tags?: Record<string, string>;
}

/** Days for which a deleted or replaced object can be brought back; it stays ciphertext. */
const UNDELETE_DAYS = 1;
const CONTAINER = "objects";

/**
 * Storage of sealed objects in Azure Blob. What lies there is encrypted before it arrives; the account, encrypted twice
 * and without keys of its own, is a second wall. Guests and owners get signed URLs from the ledger, which signs them with
 * a key that its identity asks for. Account and container go with the objects, so they are protected unless
 * `deleteObjects` is set.
 */
export class EncryptedContainer extends pulumi.ComponentResource implements StorageOutputs {
  readonly kind: string;
  readonly retentionSeconds: number;
  readonly accountName: pulumi.Output<string>;
  readonly containerName: pulumi.Output<string>;
  /** Of the container, for the ledger's setting. */
  readonly url: pulumi.Output<string>;

  constructor(name: string, args: EncryptedContainerArgs, opts?: pulumi.ComponentResourceOptions) {
    super("sealflow:index:EncryptedContainer", name, {}, opts);
    this.kind = "azure-blob";
    this.retentionSeconds = args.retentionSeconds ?? RETENTION.usual;
    const problems = retentionProblems(this.retentionSeconds);
    if (problems.length > 0) throw new pulumi.RunError(`EncryptedContainer "${name}": ${problems.join("; ")}`);

    const account = createAccount(name, args, this);
    const container = createContainer(name, args, account, this);
    const grant = (what: string, role: string, scope: pulumi.Input<string>) =>
      assignRole(`${name}-ledger-${what}`, { principalId: args.ledgerPrincipalId, role, scope }, this);
    const roles = [
      grant("objects", ROLES.storageBlobDataContributor, container.id),
      // To sign URLs, for what it may do itself.
      grant("signs", ROLES.storageBlobDelegator, account.id),
    ];
    this.accountName = account.name;
    this.containerName = container.name;
    this.url = pulumi
      .all([account.name, container.name, ...roles.map(({ id }) => id)])
      .apply(([found, inside]) => `https://${found}.blob.core.windows.net/${inside}`);
    this.registerOutputs({ kind: this.kind, retentionSeconds: this.retentionSeconds, url: this.url });
  }
}

/** No account keys, no public blobs, TLS only. Reached over the internet: guests are wherever the platform puts them. */
const createAccount = (
  name: string,
  { resourceGroupName, location, deleteObjects = false, tags }: EncryptedContainerArgs,
  parent: pulumi.ComponentResource,
): storage.StorageAccount =>
  new storage.StorageAccount(
    `${name}-account`,
    {
      resourceGroupName,
      location,
      kind: "StorageV2",
      sku: { name: "Standard_ZRS" },
      allowBlobPublicAccess: false,
      allowSharedKeyAccess: false,
      allowCrossTenantReplication: false,
      defaultToOAuthAuthentication: true,
      enableHttpsTrafficOnly: true,
      minimumTlsVersion: "TLS1_2",
      encryption: {
        keySource: "Microsoft.Storage",
        requireInfrastructureEncryption: true,
        services: { blob: { enabled: true } },
      },
      tags: ownerTags(name, tags),
    },
    childOf(parent, { protect: !deleteObjects }),
  );

function createContainer(
  name: string,
  { resourceGroupName, retentionSeconds = RETENTION.usual, deleteObjects = false }: EncryptedContainerArgs,
  account: storage.StorageAccount,
  parent: pulumi.ComponentResource,
): storage.BlobContainer {
  const place = { resourceGroupName, accountName: account.name };
  const service = new storage.BlobServiceProperties(
    `${name}-blobs`,
    {
      ...place,
      blobServicesName: "default",
      isVersioningEnabled: true,
      deleteRetentionPolicy: { enabled: true, days: UNDELETE_DAYS },
    },
    childOf(parent),
  );
  new storage.ManagementPolicy(
    `${name}-lifecycle`,
    {
      ...place,
      managementPolicyName: "default",
      policy: {
        rules: [
          {
            // Datasets live beside, and as long as their pipeline.
            name: "runs-after-their-retention",
            type: "Lifecycle",
            enabled: true,
            definition: {
              actions: { baseBlob: { delete: { daysAfterCreationGreaterThan: expiryDays(retentionSeconds) } } },
              filters: { blobTypes: ["blockBlob"], prefixMatch: [`${CONTAINER}/runs/`] },
            },
          },
          {
            name: "old-versions",
            type: "Lifecycle",
            enabled: true,
            definition: {
              actions: { version: { delete: { daysAfterCreationGreaterThan: UNDELETE_DAYS } } },
              filters: { blobTypes: ["blockBlob"] },
            },
          },
        ],
      },
    },
    childOf(parent, { dependsOn: service }),
  );
  return new storage.BlobContainer(
    `${name}-objects`,
    { ...place, containerName: CONTAINER, publicAccess: "None" },
    // Beside the account: a destroy that stops at one of them deletes what is not protected itself.
    childOf(parent, { dependsOn: service, protect: !deleteObjects }),
  );
}

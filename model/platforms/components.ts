/** Which component deploys a platform, by what its row is called. */

export interface PlatformComponent {
  readonly component: string;
  /** Entry of the package. */
  readonly entry: string;
  /** File in docs/. */
  readonly doc: string;
}

const BY_NAME: readonly (readonly [RegExp, PlatformComponent])[] = [
  [/^local$/, { component: "LocalPlatform", entry: "sealflow", doc: "getting-started.md" }],
  [/^azure-peer-pods-/, { component: "AksPeerPods", entry: "sealflow/azure", doc: "azure.md" }],
  [/^aks-confidential-nodes$/, { component: "AksConfidentialNodePool", entry: "sealflow/azure", doc: "azure.md" }],
  [/^aws-peer-pods-snp$/, { component: "EksPeerPods", entry: "sealflow/aws", doc: "aws.md" }],
  [/^eks-confidential-nodes$/, { component: "EksConfidentialNodeGroup", entry: "sealflow/aws", doc: "aws.md" }],
  [/^baremetal-/, { component: "BareMetal", entry: "sealflow/kubernetes", doc: "baremetal.md" }],
];

/** @returns undefined for a row that is refused. A cluster that is there already: ExistingCluster, whatever the row. */
export const componentOf = (platform: string): PlatformComponent | undefined =>
  BY_NAME.find(([pattern]) => pattern.test(platform))?.[1];

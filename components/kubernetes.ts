/** Public interface of `sealflow/kubernetes`: what needs the package @pulumi/kubernetes. */

export { RuntimeReadiness, type RuntimeReadinessArgs } from "../resources/runtime-readiness";
export { ArgoBackend, argoBackend } from "./backend/argo/argo-backend";
export type { ArgoBackendArgs } from "./backend/argo/args";
export { type BareMetalArgs, BareMetalTee, type HostsArgs, type PreflightArgs } from "./baremetal/args";
export { BareMetal } from "./baremetal/bare-metal";
export { type ClusterPlatform, RuntimeKind, type RuntimeNeeds } from "./platform/cluster";
export { ExistingCluster, type ExistingClusterArgs } from "./platform/existing-cluster";
export { GuestImagePolicy } from "./platform/peer-pods";
export { clusterProvider } from "./platform/provider";
export { workloadProvider } from "./platform/workload-provider";
export { CloudNativePg, type CloudNativePgArgs } from "./relying-party/cloud-native-pg";
export type { CloudNativePgDatabase, DatabaseSource } from "./relying-party/database";
export { type PlacementArgs, ServiceMode } from "./relying-party/placement";
export { type LedgerIdentity, RunLedger, type RunLedgerArgs } from "./relying-party/run-ledger";
export type { CertManagerTls, TlsSource } from "./relying-party/tls";
export { Trustee, type TrusteeArgs } from "./relying-party/trustee";
export { ClusterPart, type CocoRuntimeArgs, RuntimeInstall } from "./runtime/args";
export { CocoRuntime } from "./runtime/coco-runtime";

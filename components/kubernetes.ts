/** Public interface of `sealflow/kubernetes`: what needs the package @pulumi/kubernetes. */
export { ArgoBackend, argoBackend } from "./backend/argo/argo-backend";
export type { ArgoBackendArgs } from "./backend/argo/args";

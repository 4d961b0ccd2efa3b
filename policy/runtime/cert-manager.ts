/** cert-manager, which the webhook of peer pods gets its certificate from. */
import { VERSIONS } from "../versions";
import type { HelmChart } from "./kata-chart";

export const CERT_MANAGER_NAMESPACE = "cert-manager";

/** Definitions come with it: the peer-pods chart has a Certificate and an Issuer. */
export const certManagerChart = (): HelmChart => ({
  chart: "oci://quay.io/jetstack/charts/cert-manager",
  version: VERSIONS.charts.certManager,
  namespace: CERT_MANAGER_NAMESPACE,
  values: { crds: { enabled: true, keep: true } },
});

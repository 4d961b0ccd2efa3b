/** The operator that runs PostgreSQL for the relying party. */
import { VERSIONS } from "../versions";
import type { HelmChart } from "./kata-chart";

export const cloudNativePgChart = (): HelmChart => ({
  chart: "oci://ghcr.io/cloudnative-pg/charts/cloudnative-pg",
  version: VERSIONS.charts.cloudNativePg,
  namespace: "cnpg-system",
  values: { crds: { create: true } },
});

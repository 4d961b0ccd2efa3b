import type * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { cloudNativePgChart } from "../../policy/runtime";
import { helmRelease } from "../runtime/charts";

export interface CloudNativePgArgs {
  /** Cluster of the relying party. @default the ambient kubeconfig */
  provider?: k8s.Provider;
}

/**
 * The operator CloudNativePG, once in a cluster that has none: databases of Trustee and RunLedger come after it, as its
 * `operator`. Deleting it deletes no database, but nobody looks after them then.
 */
export class CloudNativePg extends pulumi.ComponentResource {
  constructor(name: string, { provider }: CloudNativePgArgs = {}, opts?: pulumi.ComponentResourceOptions) {
    super("sealflow:index:CloudNativePg", name, {}, opts);
    const on = { dependsOn: [], ...(provider ? { provider } : {}) };
    helmRelease(`${name}-operator`, cloudNativePgChart(), this, on, true);
    this.registerOutputs({});
  }
}

import * as k8s from "@pulumi/kubernetes";
import type * as pulumi from "@pulumi/pulumi";
import type { ClusterPlatform } from "./cluster";
import { ofCluster } from "./provider";

/**
 * The provider for what runs on a runtime. Everything made with it needs `runtime`: it comes after, and `destroy` removes
 * it before, while the adaptor still deletes the guests of its pods. (`dependsOn` of a component orders its children's
 * creation, not their deletion.)
 */
export const workloadProvider = (name: string, platform: ClusterPlatform, runtime: pulumi.Resource): k8s.Provider =>
  ofCluster(
    platform,
    new k8s.Provider(name, platform.kubeconfig === undefined ? {} : { kubeconfig: platform.kubeconfig }, {
      dependsOn: [...platform.before, runtime],
    }),
  );

/** What an installer gets, and what it gives: resources that a pod of the runtime class needs. */
import type * as k8s from "@pulumi/kubernetes";
import type * as pulumi from "@pulumi/pulumi";
import type { CocoRuntimeArgs } from "./args";

export interface InstallScope {
  readonly name: string;
  readonly args: CocoRuntimeArgs;
  readonly parent: pulumi.Resource;
  readonly provider: k8s.Provider | undefined;
}

export interface Installed {
  readonly resources: pulumi.Resource[];
  /** Changes with the configuration. */
  readonly config?: pulumi.Input<string>;
}

import * as pulumi from "@pulumi/pulumi";
import { RuntimeReadiness } from "../../resources/runtime-readiness";
import { type ClusterPlatform, RuntimeKind } from "../platform/cluster";
import { clusterProvider } from "../platform/provider";
import { withoutTraces } from "../traces";
import { type CocoRuntimeArgs, RuntimeInstall } from "./args";
import { installKata, installPeerPods } from "./charts";
import { checkRuntime } from "./check";
import type { Installed, InstallScope } from "./installer";
import { installOperator } from "./operator";

/** Clusters that have one; a second kata-deploy would fight with the first over containerd's configuration. */
const installed = new WeakMap<ClusterPlatform, string>();

/**
 * Confidential Containers on the cluster of a platform: charts, or the old operator, or what is there already. `ready` says
 * when a node can take a guest, and what is missing when none can.
 */
export class CocoRuntime extends pulumi.ComponentResource {
  /** Of steps. */
  readonly runtimeClass: string;
  /** The runtime class, once the cluster has it and a node can take it. */
  readonly ready: pulumi.Output<string>;

  constructor(name: string, args: CocoRuntimeArgs, opts?: pulumi.ComponentResourceOptions) {
    super("sealflow:index:CocoRuntime", name, {}, opts);
    checkRuntime(name, args);
    onlyOne(name, args.platform);
    const { platform } = args;
    const scope: InstallScope = { name, args, parent: this, provider: clusterProvider(platform) };
    const parts = withoutTraces(() => install(scope));
    const readiness = new RuntimeReadiness(
      `${name}-ready`,
      {
        runtimeClass: platform.runtimeClass,
        nodeLabels: { ...platform.runtime.nodeLabels, ...platform.runtime.featureLabels },
        ...(platform.kubeconfig === undefined ? {} : { kubeconfig: platform.kubeconfig }),
        ...(platform.runtime.kind === RuntimeKind.PeerPods ? { resources: ["kata.peerpods.io/vm"] } : {}),
        ...(parts.config === undefined ? {} : { installed: parts.config }),
        ...(args.readySeconds === undefined ? {} : { timeoutSeconds: args.readySeconds }),
      },
      { parent: this, dependsOn: [...platform.before, ...parts.resources] },
    );
    this.runtimeClass = platform.runtimeClass;
    this.ready = readiness.id;
    this.registerOutputs({ runtimeClass: this.runtimeClass, ready: this.ready });
  }
}

function install(scope: InstallScope): Installed {
  const { platform, install: way = RuntimeInstall.Charts } = scope.args;
  if (platform.runtime.kind === RuntimeKind.Present) return { resources: [] };
  if (way === RuntimeInstall.Operator) return installOperator(scope);
  return platform.runtime.kind === RuntimeKind.PeerPods ? installPeerPods(scope) : installKata(scope);
}

/** @throws RunError */
function onlyOne(name: string, platform: ClusterPlatform): void {
  const other = installed.get(platform);
  if (other !== undefined) {
    const why = "two installations on one cluster overwrite each other's containerd configuration";
    throw new pulumi.RunError(`CocoRuntime "${name}": platform: "${other}" installs there already; ${why}. Keep one`);
  }
  installed.set(platform, name);
}

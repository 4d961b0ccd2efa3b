/** Everything that would leave pods without a guest, before anything is registered. */
import * as pulumi from "@pulumi/pulumi";
import { DISTRIBUTIONS, OPERATOR_CLASSES } from "../../policy/runtime";
import { isClusterPlatform, RuntimeKind } from "../platform/cluster";
import { ClusterPart, type CocoRuntimeArgs, RuntimeInstall } from "./args";

const PARTS: readonly string[] = Object.values(ClusterPart);

/** @throws RunError with one line for each problem. */
export function checkRuntime(name: string, args: CocoRuntimeArgs): void {
  const problems = args.platform && isClusterPlatform(args.platform) ? problemsOf(args) : [NO_PLATFORM];
  if (problems.length > 0)
    throw new pulumi.RunError(problems.map((text) => `CocoRuntime "${name}": ${text}`).join("\n"));
}

const NO_PLATFORM =
  "platform: it is on no Kubernetes cluster. Pass AksPeerPods, EksPeerPods, BareMetal or ExistingCluster";

function problemsOf(args: CocoRuntimeArgs): string[] {
  const { platform, install = RuntimeInstall.Charts, certManager, nodeFeatureDiscovery } = args;
  const { kind } = platform.runtime;
  const unused = (argument: keyof CocoRuntimeArgs, why: string): string[] =>
    args[argument] === undefined ? [] : [`${argument}: ${why}. Remove it`];
  const common = [
    ...(Object.values<string>(RuntimeInstall).includes(install)
      ? []
      : [`install: "${install}" is neither "charts" nor "operator"`]),
    ...partProblem("certManager", certManager),
    ...partProblem("nodeFeatureDiscovery", nodeFeatureDiscovery),
    ...(args.distribution === undefined || DISTRIBUTIONS.includes(args.distribution)
      ? []
      : [`distribution: "${args.distribution}" stops the install. Use one of ${DISTRIBUTIONS.join(", ")}`]),
    ...(args.requirementsImage === undefined || install === RuntimeInstall.Operator
      ? []
      : ["requirementsImage: only the operator has one. Remove it"]),
  ];
  if (kind === RuntimeKind.Present) {
    const why = "the cluster has the runtime, nothing is installed";
    return [
      ...common,
      ...(["install", "certManager", "nodeFeatureDiscovery", "distribution", "scaling"] as const).flatMap((argument) =>
        unused(argument, why),
      ),
    ];
  }
  if (install === RuntimeInstall.Operator) return [...common, ...operatorProblems(args, unused)];
  if (kind === RuntimeKind.PeerPods) return [...common, ...peerPodProblems(args, unused)];
  return [
    ...common,
    ...unused("certManager", "Kata has no webhook that needs certificates"),
    ...(nodeFeatureDiscovery === undefined
      ? [
          'nodeFeatureDiscovery: has to be said. "install" where no other chart brings it (two of them fight over labels), "present" where one does',
        ]
      : []),
  ];
}

function partProblem(argument: string, given: string | undefined): string[] {
  return given === undefined || PARTS.includes(given)
    ? []
    : [`${argument}: "${given}" is not one of ${PARTS.join(", ")}`];
}

type Unused = (argument: keyof CocoRuntimeArgs, why: string) => string[];

function peerPodProblems({ platform, certManager, ...args }: CocoRuntimeArgs, unused: Unused): string[] {
  return [
    ...(platform.runtime.chart === undefined ? ["platform: it says no values of the peer-pods chart"] : []),
    ...(certManager === undefined
      ? ['certManager: has to be said. "install" where the cluster has none, "present" where it does']
      : []),
    ...(certManager === ClusterPart.None
      ? ["certManager: without it the webhook gets no certificate, and then no pod of the cluster is created"]
      : []),
    ...unused("nodeFeatureDiscovery", "workers of peer pods need no TEE"),
    ...unused("distribution", "the peer-pods chart does not take it"),
    ...(args.scaling === true ? ["scaling: the adaptor is resident on each worker. Remove it"] : []),
  ];
}

function operatorProblems({ platform, requirementsImage, ...args }: CocoRuntimeArgs, unused: Unused): string[] {
  const { kind } = platform.runtime;
  const classes: readonly string[] = OPERATOR_CLASSES;
  return [
    ...(kind === RuntimeKind.PeerPods
      ? ["install: the operator's peer pods are obsolete upstream. Use the charts, after removing the operator"]
      : []),
    ...(kind === RuntimeKind.Kata && !classes.includes(platform.runtimeClass)
      ? [`platform: the operator makes no class ${platform.runtimeClass} (has ${classes.join(", ")}). Use the charts`]
      : []),
    ...(requirementsImage === undefined
      ? ["requirementsImage: has to be said: there is no tag of the release (docs/kubernetes.md)"]
      : []),
    ...unused("certManager", "the operator needs none"),
    ...unused("nodeFeatureDiscovery", "the operator brings no rules for it"),
    ...unused("distribution", "the operator finds it out"),
    ...(args.scaling === true ? ["scaling: the operator's installers are resident. Remove it"] : []),
  ];
}

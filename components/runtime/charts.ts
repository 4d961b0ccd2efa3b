/** The charts as Helm releases: their hooks clean nodes and VMs, which rendered manifests would leave behind. */
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { ADAPTOR_NAMESPACE, type PeerPodsChart } from "../../policy/peer-pods";
import { certManagerChart, type HelmChart, installDigest, kataChart } from "../../policy/runtime";
import { childOf } from "../options";
import { ClusterPart } from "./args";
import type { Installed, InstallScope } from "./installer";

/** Installing restarts containerd on each node; Helm's own five minutes end in the middle of that. */
const TIMEOUT_SECONDS = 1200;

type Options = { readonly dependsOn: pulumi.Resource[]; readonly provider?: k8s.Provider };

export function installKata({ name, args, parent, provider }: InstallScope): Installed {
  const { platform, distribution, nodeFeatureDiscovery, scaling } = args;
  const chart = kataChart({
    shims: platform.runtime.shims ?? [],
    nodeSelector: platform.runtime.nodeLabels,
    nodeFeatureDiscovery: nodeFeatureDiscovery ?? ClusterPart.None,
    ...(distribution === undefined ? {} : { distribution }),
    ...(scaling ? { mode: "job" as const } : {}),
  });
  const on = { ...(provider ? { provider } : {}), dependsOn: [...platform.before] };
  const namespace = privilegedNamespace(`${name}-namespace`, chart.namespace, parent, on);
  const release = helmRelease(`${name}-kata`, chart, parent, { ...on, dependsOn: [namespace] });
  return { resources: [release], config: installDigest(chart.values) };
}

export function installPeerPods({ name, args, parent, provider }: InstallScope): Installed {
  const { platform, certManager } = args;
  const chart = platform.runtime.chart as pulumi.Output<PeerPodsChart>;
  const on = { ...(provider ? { provider } : {}), dependsOn: [...platform.before] };
  const certificates =
    certManager === ClusterPart.Install
      ? [helmRelease(`${name}-cert-manager`, certManagerChart(), parent, on, true)]
      : [];
  const namespace = privilegedNamespace(`${name}-namespace`, ADAPTOR_NAMESPACE, parent, on);
  // Known only with the chart, so it is always there: an empty Secret is what an adaptor without secrets ignores.
  const secret = new k8s.core.v1.Secret(
    `${name}-adaptor-secret`,
    {
      metadata: { name: "peer-pods-secret", namespace: ADAPTOR_NAMESPACE },
      stringData: pulumi.secret(chart.apply(({ secret }) => ({ ...secret?.data }))),
    },
    childOf(parent as pulumi.ComponentResource, { ...on, dependsOn: [namespace] }),
  );
  const dependsOn = [...platform.before, ...certificates, namespace, secret];
  const release = helmRelease(`${name}-peer-pods`, chart, parent, { ...on, dependsOn });
  return { resources: [release], config: chart.apply(({ values }) => installDigest(values)) };
}

/** @param own whether Helm makes the namespace. */
export function helmRelease(
  name: string,
  chart: pulumi.Input<HelmChart>,
  parent: pulumi.Resource,
  opts: Options,
  own = false,
): k8s.helm.v3.Release {
  const said = <T>(pick: (chart: HelmChart) => T) => pulumi.output(chart).apply((known) => pick(known as HelmChart));
  return new k8s.helm.v3.Release(
    name,
    {
      // Names of some charts' objects follow from the release's; an invented suffix would change them.
      name: name.slice(0, 53),
      chart: said(({ chart: reference }) => reference),
      version: said(({ version }) => version),
      namespace: said(({ namespace }) => namespace),
      createNamespace: own,
      values: said(({ values }) => ({ ...values })),
      // All or nothing: a release that failed halfway blocks the next one.
      atomic: true,
      timeout: TIMEOUT_SECONDS,
    },
    childOf(parent as pulumi.ComponentResource, opts),
  );
}

/** Installers and adaptors change the host: Pod Security has to let them (docs/kubernetes.md). */
export function privilegedNamespace(
  name: string,
  namespace: string,
  parent: pulumi.Resource,
  opts: Options,
): k8s.core.v1.Namespace {
  const labels = { "app.kubernetes.io/managed-by": "sealflow", "pod-security.kubernetes.io/enforce": "privileged" };
  return new k8s.core.v1.Namespace(
    name,
    { metadata: { name: namespace, labels } },
    childOf(parent as pulumi.ComponentResource, opts),
  );
}

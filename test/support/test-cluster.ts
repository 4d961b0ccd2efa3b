/** The test cluster with a simulated confidential node, as stacks deploy to it. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import * as path from "node:path";
import { type Cluster, NODE_NAME, nodeTlsOf } from "../../tools/cluster";
import { type KubernetesNode, startKubernetesNode } from "../../untrusted/node/kubernetes";
import type { ProjectPlace } from "./project";

/** Not while a run goes on: the node lives in this process, and waiting here would stop it. */
export const kubectl = (cluster: Cluster, args: readonly string[], input?: string): string =>
  execFileSync(cluster.kubectl, ["--kubeconfig", cluster.kubeconfig, ...args], {
    encoding: "utf8",
    maxBuffer: 1 << 28,
    ...(input === undefined ? {} : { input }),
  });

export const runtimeClassOf = (name: string) => ({
  apiVersion: "node.k8s.io/v1",
  kind: "RuntimeClass",
  metadata: { name },
  handler: name,
});

/** The node of a project whose services run. @param labels beside those that a confidential node has anyway. */
export const startNode = (
  cluster: Cluster,
  project: ProjectPlace,
  labels: Readonly<Record<string, string>> = {},
): Promise<KubernetesNode> =>
  startKubernetesNode({
    kubeconfig: readFileSync(cluster.kubeconfigOf("node"), "utf8"),
    name: NODE_NAME,
    home: project.home,
    connection: JSON.parse(readFileSync(path.join(project.home, "connection.json"), "utf8")),
    programs: { "argoexec:local": { bin: path.dirname(cluster.argoexec as string) } },
    tls: nodeTlsOf(cluster),
    labels,
  });

/** What the adaptor's device plugin offers on its workers: places for guests. */
export const offerGuests = (cluster: Cluster, count: number): void => {
  const offered = { "kata.peerpods.io/vm": String(count) };
  const status = { status: { capacity: offered, allocatable: offered } };
  kubectl(cluster, ["patch", "node", NODE_NAME, "--subresource=status", "--type=merge", "-p", JSON.stringify(status)]);
};

/** Objects of Sealflow that are there. */
export const sealflowObjects = (cluster: Cluster): string =>
  kubectl(cluster, [
    "get",
    "workflowtemplates,workflows,jobs,pods,roles,rolebindings,serviceaccounts,networkpolicies,namespaces",
    "-A",
    "-l",
    "app.kubernetes.io/managed-by=sealflow",
    "-o",
    "name",
  ]).trim();

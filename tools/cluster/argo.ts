/** What Argo's workflow controller needs in a cluster: CRDs, its namespace, its settings, and its rights. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { apply, waitFor } from "./api";

const USER = "sealflow-test:workflow-controller";
const READ = ["get", "list", "watch"];
const WRITE = ["create", "update", "patch", "delete"];

/** Rights of the controller in a cluster-wide installation, as its documentation lists them. */
const RULES = [
  { apiGroups: [""], resources: ["pods", "pods/exec"], verbs: [...READ, ...WRITE, "deletecollection"] },
  { apiGroups: [""], resources: ["configmaps", "namespaces"], verbs: READ },
  { apiGroups: [""], resources: ["secrets", "serviceaccounts"], verbs: ["get", "list"] },
  { apiGroups: [""], resources: ["persistentvolumeclaims"], verbs: [...READ, ...WRITE] },
  { apiGroups: [""], resources: ["events"], verbs: ["create", "patch"] },
  { apiGroups: ["argoproj.io"], resources: ["*"], verbs: [...READ, ...WRITE, "deletecollection"] },
  { apiGroups: ["policy"], resources: ["poddisruptionbudgets"], verbs: ["create", "get", "delete"] },
  { apiGroups: ["coordination.k8s.io"], resources: ["leases"], verbs: [...READ, ...WRITE] },
];

/** @param crds folder of the module's own minimal CRDs. */
export async function prepareArgo(dir: string, url: string, crds: string, namespace: string): Promise<void> {
  const put = (path: string, object: Record<string, unknown>) => apply(dir, url, path, JSON.stringify(object));
  const rbac = "rbac.authorization.k8s.io/v1";
  const metadata = { name: "sealflow-test-workflow-controller" };
  await put(`/api/v1/namespaces/${namespace}`, { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } });
  await put(`/apis/${rbac}/clusterroles/${metadata.name}`, {
    apiVersion: rbac,
    kind: "ClusterRole",
    metadata,
    rules: RULES,
  });
  await put(`/apis/${rbac}/clusterrolebindings/${metadata.name}`, {
    apiVersion: rbac,
    kind: "ClusterRoleBinding",
    metadata,
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: metadata.name },
    subjects: [{ apiGroup: "rbac.authorization.k8s.io", kind: "User", name: USER }],
  });
  const settings = "workflow-controller-configmap";
  await put(`/api/v1/namespaces/${namespace}/configmaps/${settings}`, {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: settings, namespace },
    data: {
      // The executor looks after its Job every few seconds by default.
      executor: JSON.stringify({ env: [{ name: "RESOURCE_STATE_CHECK_INTERVAL", value: "300ms" }] }),
      // Its port is fixed, so a second cluster's controller would fail. That of its health check (6060) is fixed, too,
      // but there a controller that finds it taken goes on without.
      metricsConfig: JSON.stringify({ enabled: false }),
    },
  });
  const definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
  const files = readdirSync(crds);
  await Promise.all(
    files.map((file) => {
      const text = readFileSync(join(crds, file), "utf8");
      const name = /^ {2}name: (\S+)$/m.exec(text)?.[1];
      if (!name) throw new Error(`${file} is no CRD`);
      return apply(dir, url, `${definitions}/${name}`, text);
    }),
  );
  await waitFor(dir, url, "/apis/argoproj.io/v1alpha1/workflows?limit=1");
  await waitFor(dir, url, "/apis/argoproj.io/v1alpha1/workflowtasksets?limit=1");
}

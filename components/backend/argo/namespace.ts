/** The namespace of pipelines: who may do what in it. Made once for all pipelines of a backend. */
import * as k8s from "@pulumi/kubernetes";
import type * as pulumi from "@pulumi/pulumi";
import type { ArgoBackendArgs, ArgoSettings } from "./args";
import { MANAGED_BY } from "./render/names";
import { EXECUTOR_RULES, mutable, type Rule, SUBMITTER_RULES } from "./render/rights";

/** Service account of Argo's executor pods. Steps run without any token. */
export const EXECUTOR_ACCOUNT = "sealflow-engine";
const SUBMITTER = "sealflow-submit";

/** @returns what pipelines of the namespace depend on. */
export function createNamespaceObjects(
  name: string,
  args: ArgoBackendArgs,
  settings: ArgoSettings,
  parent: pulumi.Resource,
): pulumi.Resource[] {
  const opts = { parent, ...(args.provider ? { provider: args.provider } : {}) };
  const namespace = settings.createNamespace ? createNamespace(name, settings, opts) : undefined;
  const inside = { ...opts, ...(namespace ? { dependsOn: namespace } : {}) };
  const metadata = (object: string) => ({ name: object, namespace: settings.namespace, labels: MANAGED_BY });
  const account = new k8s.core.v1.ServiceAccount(`${name}-engine`, { metadata: metadata(EXECUTOR_ACCOUNT) }, inside);
  const subject = { kind: "ServiceAccount", name: EXECUTOR_ACCOUNT, namespace: settings.namespace };
  const bind = (word: string, object: string, rules: readonly Rule[], subjects: ArgoBackendArgs["submitters"]) => {
    const role = new k8s.rbac.v1.Role(
      `${name}-${word}-role`,
      { metadata: metadata(object), rules: mutable(rules) },
      inside,
    );
    const roleRef = { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: object };
    const binding = { metadata: metadata(object), roleRef, subjects: subjects ?? [] };
    return new k8s.rbac.v1.RoleBinding(`${name}-${word}`, binding, { ...inside, dependsOn: role });
  };
  const engine = bind("engine-rights", EXECUTOR_ACCOUNT, EXECUTOR_RULES, [subject]);
  const submitters = args.submitters?.length
    ? [bind("submit-rights", SUBMITTER, SUBMITTER_RULES, args.submitters)]
    : [];
  const network = new k8s.networking.v1.NetworkPolicy(
    `${name}-no-ingress`,
    {
      metadata: metadata("sealflow-no-ingress"),
      // Nobody calls a step or an executor. What they call (key broker, ledger, registry, store) differs per platform.
      spec: { podSelector: {}, policyTypes: ["Ingress"] },
    },
    inside,
  );
  return [...(namespace ? [namespace] : []), account, engine, ...submitters, network];
}

function createNamespace(
  name: string,
  settings: ArgoSettings,
  opts: pulumi.CustomResourceOptions,
): k8s.core.v1.Namespace {
  const security = {
    "pod-security.kubernetes.io/enforce": settings.podSecurity,
    // Whatever could do with less is told about.
    "pod-security.kubernetes.io/audit": "restricted",
  };
  return new k8s.core.v1.Namespace(
    `${name}-namespace`,
    { metadata: { name: settings.namespace, labels: { ...MANAGED_BY, ...security } } },
    opts,
  );
}

/**
 * Keys of the charts' own values.yaml, as far as Sealflow may set them; `*` is any one name, `**` whatever comes below.
 * Sources: confidential-containers/charts; kata-containers/kata-containers, helm-chart/kata-deploy 4.2;
 * confidential-containers/cloud-api-adaptor, install/charts/peerpods 0.4.0, with peerpod-ctrl and webhook.
 */
const KATA_DEPLOY = [
  "deploymentMode",
  "job.reconcile.enabled",
  "image.reference",
  "image.tag",
  "imagePullPolicy",
  "k8sDistribution",
  "debug",
  "snapshotter.setup",
  "shims.disableAll",
  "shims.*.enabled",
  "shims.*.containerd.snapshotter",
  "shims.*.containerd.forceGuestPull",
  "shims.*.runtimeClass.nodeSelector.**",
  "runtimeClasses.enabled",
  "runtimeClasses.createDefault",
  "nodeFeatureRules.create",
  "node-feature-discovery.enabled",
  "nodeSelector.**",
  "podLabels.**",
  "defaultShim.*",
];

export const UMBRELLA_KEYS = ["customContainerd.enabled", "kata-as-coco-runtime.enabled"].concat(
  KATA_DEPLOY.map((key) => `kata-as-coco-runtime.${key}`),
);

export const PEER_PODS_KEYS = [
  "provider",
  "providerConfigs.*.*",
  "secrets.mode",
  "secrets.existingSecretName",
  "image.name",
  "image.tag",
  "daemonset.podLabels.**",
  "daemonset.serviceAccount.annotations.**",
  "resourceCtrl.enabled",
  "resourceCtrl.image.repository",
  "resourceCtrl.image.tag",
  "resourceCtrl.podLabels.**",
  "resourceCtrl.serviceAccount.annotations.**",
  "webhook.enabled",
  "webhook.image.repository",
  "webhook.image.tag",
  "webhook.webhook.targetRuntimeClass",
  "webhook.webhook.failurePolicy",
  "webhook.certManager.enabled",
  "kata-deploy.enabled",
].concat(KATA_DEPLOY.map((key) => `kata-deploy.${key}`));

/** Keys of `values` that no pattern has; a label's own dots do not part it. */
export function unknownKeys(values: object, patterns: readonly string[]): string[] {
  const known = patterns.map((pattern) => pattern.split("."));
  return leaves(values, [])
    .filter((path) => !known.some((pattern) => matches(path, pattern)))
    .map((p) => p.join("."));
}

function leaves(value: unknown, path: string[]): string[][] {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return [path];
  return Object.entries(value).flatMap(([key, inner]) => leaves(inner, [...path, key]));
}

const matches = (path: readonly string[], pattern: readonly string[]): boolean =>
  pattern.at(-1) === "**"
    ? path.length >= pattern.length - 1 && pattern.slice(0, -1).every((part, i) => part === "*" || part === path[i])
    : path.length === pattern.length && pattern.every((part, i) => part === "*" || part === path[i]);

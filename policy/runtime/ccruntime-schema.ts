/** Schema of CcRuntime. Source: confidential-containers/operator v0.17.0, api/v1beta1/ccruntime_types.go. */
const text = { type: "string" };
const map = { type: "object", additionalProperties: text };
const words = { type: "array", items: text };
/** Kubernetes' own types; the API server checks them where the operator uses them. */
const foreign = { type: "object", "x-kubernetes-preserve-unknown-fields": true };
const many = (items: object) => ({ type: "array", items });
const hook = {
  type: "object",
  properties: {
    cmd: words,
    image: text,
    environmentVariables: many(foreign),
    volumes: many(foreign),
    volumeMounts: many(foreign),
  },
};
const progress = { type: "object", "x-kubernetes-preserve-unknown-fields": true };

export const CCRUNTIME_SCHEMA = {
  type: "object",
  properties: {
    apiVersion: text,
    kind: text,
    metadata: { type: "object" },
    spec: {
      type: "object",
      required: ["config", "runtimeName"],
      properties: {
        ccNodeSelector: { ...foreign, nullable: true },
        ccTolerations: many(foreign),
        runtimeName: { ...text, enum: ["kata", "enclave-cc"] },
        config: {
          type: "object",
          required: ["installType", "payloadImage"],
          properties: {
            installType: { ...text, enum: ["bundle", "osnative"] },
            payloadImage: text,
            imagePullSecret: foreign,
            imagePullPolicy: text,
            osNativeRepo: text,
            runtimeImage: text,
            guestKernelImage: text,
            guestInitrdImage: text,
            installerVolumeMounts: many(foreign),
            installerVolumes: many(foreign),
            installCmd: words,
            uninstallCmd: words,
            cleanupCmd: words,
            runtimeClasses: many({
              type: "object",
              properties: { name: text, snapshotter: text, pulltype: text },
            }),
            defaultRuntimeClassName: text,
            debug: { type: "boolean" },
            environmentVariables: many(foreign),
            installDoneLabel: map,
            uninstallDoneLabel: map,
            preInstall: hook,
            postUninstall: hook,
          },
        },
      },
    },
    status: {
      type: "object",
      properties: {
        runtimeClass: text,
        runtimeName: text,
        totalNodesCount: { type: "integer" },
        installationStatus: progress,
        unInstallationStatus: progress,
        upgradeStatus: progress,
      },
    },
  },
} as const;

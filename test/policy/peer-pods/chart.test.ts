import { type AwsPeerPods, type AzurePeerPods, type PeerPodsArgs, peerPodsChart } from "../../../policy";
import { VERSIONS } from "../../../policy/versions";
import keys from "../../vectors/peer-pods-chart.json";

const azure: AzurePeerPods = {
  cloud: "azure",
  imageId: "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/galleries/a/images/podvm/versions/1.0.0",
  region: "eastus",
  subnetId: "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/virtualNetworks/v/subnets/podvms",
  subscriptionId: "0a1b",
  resourceGroup: "podvms",
  tenantId: "tenant",
  clientId: "client",
  defaultInstance: "Standard_DC2as_v5",
  instances: ["Standard_DC2as_v5", "Standard_DC8as_v5"],
  tags: { owner: "sealflow", stack: "prod" },
  rootGiB: 64,
};
const aws: AwsPeerPods = {
  cloud: "aws",
  imageId: "ami-0123456789abcdef0",
  region: "us-east-2",
  subnetId: "subnet-1",
  securityGroupIds: ["sg-1", "sg-2"],
  adaptorRoleArn: "arn:aws:iam::1:role/adaptor",
  controllerRoleArn: "arn:aws:iam::1:role/controller",
  defaultInstance: "m6a.large",
  instances: ["m6a.large"],
  tags: { stack: "prod" },
};

// biome-ignore lint/suspicious/noExplicitAny: values of a chart are looked at by path.
const valuesOf = (args: PeerPodsArgs): any => peerPodsChart(args).values;

/** Paths of a value down to the keys that the chart documents. */
function paths(value: unknown, at = ""): string[] {
  if (keys.values.includes(at) || typeof value !== "object" || value === null) return [at];
  return Object.entries(value).flatMap(([key, inner]) => paths(inner, at === "" ? key : `${at}.${key}`));
}

describe.each([azure, aws])("the chart on $cloud", (args) => {
  const { cloud } = args;
  const { values, secret } = peerPodsChart(args);
  // biome-ignore lint/suspicious/noExplicitAny: as above.
  const config = (values as any).providerConfigs[cloud] as Record<string, unknown>;

  it("gets only values that it has", () => {
    for (const path of paths(values)) expect(keys.values).toContain(path);
    for (const key of Object.keys(config)) expect([...keys.configs.common, ...keys.configs[cloud]]).toContain(key);
  });

  it("gets every value without which the adaptor does not start", () => {
    for (const key of keys.required[cloud]) expect(config[key]).toMatch(/./);
    for (const key of keys.requiredSecrets[cloud]) expect(secret?.data[key]).toMatch(/./);
  });

  it("gets strings in the ConfigMap, never numbers or booleans", () => {
    for (const value of Object.values(config)) expect(typeof value).toBe("string");
  });

  it("makes confidential VMs only, and no runtime class but the remote one", () => {
    expect(config).toMatchObject({ DISABLECVM: "false", TLS_SKIP_VERIFY: "false", CLOUD_CONFIG_VERIFY: "true" });
    expect(values["kata-deploy"]).toMatchObject({ shims: { disableAll: true, remote: { enabled: true } } });
  });

  it("pins chart and images, and puts no credential into Helm's history", () => {
    const text = JSON.stringify(values);
    expect(text).not.toContain("latest");
    expect(text.split(VERSIONS.cloudApiAdaptorImages)).toHaveLength(4);
    expect(values).toMatchObject({ secrets: { mode: "reference" } });
    expect(values).not.toHaveProperty("providerSecrets");
  });

  it("rolls the adaptor when its configuration changes, and only then", () => {
    const label = (changed: Partial<PeerPodsArgs>) =>
      valuesOf({ ...args, ...changed } as PeerPodsArgs).daemonset.podLabels["sealflow.config"];
    expect(label({})).toBe(label({}));
    expect(label({ limitPerNode: 11 })).not.toBe(label({}));
    expect(label({})).toMatch(/^[0-9a-f]{16}$/);
  });
});

it.each([
  ["Azure", azure, { clientId: "another" }],
  ["AWS", aws, { adaptorRoleArn: "arn:aws:iam::1:role/another", controllerRoleArn: "arn:aws:iam::1:role/another-too" }],
])("on %s another login rolls both: it is read when a pod is made", (_cloud, args, changed) => {
  const labels = (given: object) => {
    const { daemonset, resourceCtrl } = valuesOf({ ...args, ...given } as PeerPodsArgs);
    return [daemonset, resourceCtrl].map(({ podLabels }) => podLabels["sealflow.config"]);
  };
  for (const [i, label] of labels(changed).entries()) expect(label).not.toBe(labels({})[i]);
});

it("on Azure adaptor and controller log in with the workload identity", () => {
  const { daemonset, resourceCtrl } = valuesOf(azure);
  for (const part of [daemonset, resourceCtrl]) {
    expect(part.podLabels).toMatchObject({ "azure.workload.identity/use": "true" });
    expect(part.serviceAccount.annotations).toEqual({ "azure.workload.identity/client-id": "client" });
  }
  expect(peerPodsChart(azure).secret).toEqual({
    name: "peer-pods-secret",
    data: { AZURE_CLIENT_ID: "client", AZURE_TENANT_ID: "tenant" },
  });
});

it("on AWS adaptor and controller have a role each, and there is no secret", () => {
  const { daemonset, resourceCtrl, providerConfigs } = valuesOf(aws);
  expect(daemonset.serviceAccount.annotations).toEqual({ "eks.amazonaws.com/role-arn": aws.adaptorRoleArn });
  expect(resourceCtrl.serviceAccount.annotations).toEqual({ "eks.amazonaws.com/role-arn": aws.controllerRoleArn });
  expect(peerPodsChart(aws).secret).toBeNull();
  expect(providerConfigs.aws).toMatchObject({ AWS_SG_IDS: "sg-1,sg-2", TAGS: "stack=prod", VXLAN_PORT: "9000" });
});

it.each<[string, Partial<AzurePeerPods>, string]>([
  ["an empty image", { imageId: "" }, "imageId is empty"],
  ["no sizes", { instances: [] }, "instances is empty"],
  [
    "a default that pods may not have",
    { instances: ["Standard_DC8as_v5"] },
    "instances lacks the default Standard_DC2as_v5",
  ],
  ["no tag", { tags: {} }, "left-over VMs could not be found"],
  ["a tag that splits", { tags: { a: "b,c=d" } }, 'tag "a": neither key nor value'],
  ["a limit of nothing", { limitPerNode: 0 }, "limitPerNode is 0"],
])("%s is refused", (_what, changed, message) => {
  expect(() => peerPodsChart({ ...azure, ...changed })).toThrow(message);
});

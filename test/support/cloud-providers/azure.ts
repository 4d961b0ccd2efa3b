/** azure-native as far as Sealflow's components use it. */
import { createHash } from "node:crypto";
import type { Json } from "../../../provider/server/values";
import { type CloudModel, type Plain, type TypeModel, text } from "./model";
import type { Existing, Store } from "./store";

export const SUBSCRIPTION = "11111111-2222-4333-8444-555555555555";
export const TENANT = "66666666-7777-4888-9999-aaaaaaaaaaaa";
const GROUPS = `/subscriptions/${SUBSCRIPTION}/resourceGroups`;

/** A UUID that belongs to a text for good. */
function uuid(seed: string): string {
  const hex = createHash("sha256").update(seed).digest("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

const group = (inputs: Plain): string => `${GROUPS}/${text(inputs.resourceGroupName)}`;
const inGroup = (kind: string, name: string) => (inputs: Plain) =>
  `${group(inputs)}/providers/${kind}/${text(inputs[name])}`;

/** A resource directly in a resource group. */
function arm(kind: string, name: string, more: Partial<TypeModel> = {}): TypeModel {
  const { outputs, ...rest } = more;
  return {
    name,
    id: inGroup(kind, name),
    needs: (inputs) => [group(inputs)],
    replaces: ["resourceGroupName", "location"],
    outputs: (inputs, id, store) => ({
      name: text(inputs[name]),
      type: kind,
      provisioningState: "Succeeded",
      azureApiVersion: "2025-01-01",
      ...(outputs?.(inputs, id, store) ?? {}),
    }),
    ...rest,
  };
}

/** A resource below another one of the same resource group. */
function child(kind: string, parent: string, sub: string, name: string, more: Partial<TypeModel> = {}): TypeModel {
  const above = inGroup(kind, parent);
  return {
    ...arm(`${kind}/${sub}`, name, more),
    id: (inputs) => `${above(inputs)}/${sub}/${text(inputs[name])}`,
    needs: (inputs) => [above(inputs)],
    replaces: ["resourceGroupName", parent, ...(more.replaces ?? [])],
  };
}

const storageName = (logical: string, random: string): string =>
  `${logical.toLowerCase().replace(/[^a-z0-9]/g, "")}${random}`.slice(0, 24);

const roleAssignment: TypeModel = {
  name: "roleAssignmentName",
  autoName: (logical, random) => uuid(logical + random),
  id: (inputs) =>
    `${text(inputs.scope)}/providers/Microsoft.Authorization/roleAssignments/${text(inputs.roleAssignmentName)}`,
  replaces: ["scope", "principalId", "roleDefinitionId", "principalType"],
  outputs: (inputs) => ({ name: text(inputs.roleAssignmentName), type: "Microsoft.Authorization/roleAssignments" }),
  refuse: (inputs, store) => {
    const same = store
      .all()
      .some(
        (other) =>
          other.type === "azure-native:authorization:RoleAssignment" &&
          ["scope", "principalId", "roleDefinitionId"].every((field) => other.inputs[field] === inputs[field]),
      );
    if (same) return "409 RoleAssignmentExists: The role assignment already exists.";
    const known = store.all().some(({ outputs }) => outputs.principalId === inputs.principalId);
    // Without the type Azure looks the principal up, which has not spread yet right after its creation.
    if (!known || inputs.principalType !== "ServicePrincipal") {
      return `400 PrincipalNotFound: Principal ${text(inputs.principalId)} does not exist in the directory`;
    }
    return undefined;
  },
};

const federation = child(
  "Microsoft.ManagedIdentity/userAssignedIdentities",
  "resourceName",
  "federatedIdentityCredentials",
  "federatedIdentityCredentialResourceName",
  {
    alone: (inputs) => `identity ${text(inputs.resourceName)}`,
    refuse: (inputs, store) => {
      const twin = store
        .all()
        .some((other) => ["resourceName", "issuer", "subject"].every((field) => other.inputs[field] === inputs[field]));
      return twin ? "409 Conflict: issuer and subject combination already exists for this identity" : undefined;
    },
  },
);

const TYPES: Readonly<Record<string, TypeModel>> = {
  "azure-native:resources:ResourceGroup": {
    name: "resourceGroupName",
    id: group,
    replaces: ["location"],
    outputs: (inputs) => ({ name: text(inputs.resourceGroupName), type: "Microsoft.Resources/resourceGroups" }),
    sweeps: true,
  },
  "azure-native:network:VirtualNetwork": arm("Microsoft.Network/virtualNetworks", "virtualNetworkName"),
  "azure-native:network:Subnet": child(
    "Microsoft.Network/virtualNetworks",
    "virtualNetworkName",
    "subnets",
    "subnetName",
    {
      alone: (inputs) => `virtual network ${text(inputs.virtualNetworkName)}`,
    },
  ),
  "azure-native:network:PublicIPAddress": arm("Microsoft.Network/publicIPAddresses", "publicIpAddressName", {
    outputs: () => ({ ipAddress: "203.0.113.10" }),
  }),
  "azure-native:network:NatGateway": arm("Microsoft.Network/natGateways", "natGatewayName"),
  "azure-native:network:NetworkSecurityGroup": arm(
    "Microsoft.Network/networkSecurityGroups",
    "networkSecurityGroupName",
  ),
  "azure-native:containerservice:ManagedCluster": arm("Microsoft.ContainerService/managedClusters", "resourceName", {
    replaces: ["resourceGroupName", "location", "dnsPrefix", "nodeResourceGroup", "networkProfile"],
    outputs: (inputs) => ({
      fqdn: `${text(inputs.dnsPrefix)}.hcp.${text(inputs.location)}.azmk8s.io`,
      currentKubernetesVersion: text(inputs.kubernetesVersion) || "1.35.4",
      nodeResourceGroup: text(inputs.nodeResourceGroup) || `MC_${text(inputs.resourceGroupName)}`,
      oidcIssuerProfile: enabled(inputs.oidcIssuerProfile)
        ? {
            enabled: true,
            issuerURL: `https://${text(inputs.location)}.oic.prod-aks.azure.com/${TENANT}/${uuid(text(inputs.resourceName))}/`,
          }
        : { enabled: false },
    }),
  }),
  "azure-native:containerservice:AgentPool": child(
    "Microsoft.ContainerService/managedClusters",
    "resourceName",
    "agentPools",
    "agentPoolName",
    {
      autoName: (logical, random) => `${logical.replace(/[^a-z0-9]/g, "").slice(0, 5)}${random}`,
      replaces: ["vmSize", "osType", "osSKU", "vnetSubnetID", "enableFIPS", "workloadRuntime"],
      refuse: ({ agentPoolName }) =>
        /^[a-z][a-z0-9]{0,11}$/.test(text(agentPoolName))
          ? undefined
          : `400 InvalidParameter: agent pool name "${text(agentPoolName)}" must be lower case and have at most 12 characters`,
    },
  ),
  "azure-native:managedidentity:UserAssignedIdentity": arm(
    "Microsoft.ManagedIdentity/userAssignedIdentities",
    "resourceName",
    {
      outputs: (_inputs, id) => ({
        clientId: uuid(`client ${id}`),
        principalId: uuid(`principal ${id}`),
        tenantId: TENANT,
      }),
    },
  ),
  "azure-native:managedidentity:FederatedIdentityCredential": federation,
  "azure-native:authorization:RoleAssignment": roleAssignment,
  "azure-native:storage:StorageAccount": arm("Microsoft.Storage/storageAccounts", "accountName", {
    autoName: storageName,
    outputs: (inputs) => ({
      primaryEndpoints: { blob: `https://${text(inputs.accountName)}.blob.core.windows.net/` },
    }),
    refuse: ({ accountName }) =>
      /^[a-z0-9]{3,24}$/.test(text(accountName))
        ? undefined
        : `400 AccountNameInvalid: ${text(accountName)} is not a valid storage account name`,
  }),
  "azure-native:storage:BlobContainer": child(
    "Microsoft.Storage/storageAccounts",
    "accountName",
    "blobServices/default/containers",
    "containerName",
  ),
  "azure-native:storage:BlobServiceProperties": {
    ...child("Microsoft.Storage/storageAccounts", "accountName", "blobServices", "blobServicesName"),
    autoName: () => "default",
  },
  "azure-native:storage:ManagementPolicy": {
    ...child("Microsoft.Storage/storageAccounts", "accountName", "managementPolicies", "managementPolicyName"),
    autoName: () => "default",
  },
};

const enabled = (profile: Json | undefined): boolean =>
  typeof profile === "object" && profile !== null && !Array.isArray(profile) && profile.enabled === true;

function inUse(gone: Existing, by: Existing): string {
  const what = `${gone.id.split("/").slice(-2).join("/")} is in use by ${by.id}`;
  if (gone.type.endsWith(":Subnet")) return `400 InUseSubnetCannotBeDeleted: Subnet ${what}`;
  if (gone.type.endsWith(":ResourceGroup")) return `409 ResourceGroupNotEmpty: ${what}`;
  return `409 Conflict: ${what} and cannot be deleted`;
}

/** What the adaptor makes for a pod, and what stays behind when it dies: a VM with its network interface. */
export function leakPodVm(
  store: Store,
  resourceGroup: string,
  subnetId: string,
  tags: Readonly<Record<string, string>>,
): void {
  const vm = `${resourceGroup}/providers/Microsoft.Compute/virtualMachines/podvm-train-0a1b2c3d`;
  const nic = `${resourceGroup}/providers/Microsoft.Network/networkInterfaces/podvm-train-0a1b2c3d-net`;
  store.put({
    id: nic,
    type: "Microsoft.Network/networkInterfaces",
    name: "",
    inputs: { subnet: { id: subnetId }, tags },
    outputs: {},
  });
  store.put({
    id: vm,
    type: "Microsoft.Compute/virtualMachines",
    name: "",
    inputs: { networkInterface: nic, tags },
    outputs: {},
  });
}

export const AZURE: CloudModel = {
  pkg: "azure-native",
  types: TYPES,
  inUse,
  invokes: {
    "azure-native:authorization:getClientConfig": () => ({
      clientId: uuid("client"),
      objectId: uuid("object"),
      subscriptionId: SUBSCRIPTION,
      tenantId: TENANT,
    }),
    "azure-native:containerservice:listManagedClusterUserCredentials": (args, store) => {
      const id = inGroup("Microsoft.ContainerService/managedClusters", "resourceName")(args);
      if (!store.get(id)) throw new Error(`404 ResourceNotFound: ${id}`);
      const kubeconfig = store.settings.kubeconfig ?? kubeconfigOf(text(args.resourceName));
      return { kubeconfigs: [{ name: "clusterUser", value: Buffer.from(kubeconfig).toString("base64") }] };
    },
  },
};

const kubeconfigOf = (name: string): string =>
  JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name, cluster: { server: `https://${name}.example.invalid:443` } }],
    users: [{ name: "user", user: { token: "planted-cluster-token" } }],
    contexts: [{ name, context: { cluster: name, user: "user" } }],
    "current-context": name,
  });

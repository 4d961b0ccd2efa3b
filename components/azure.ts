/** Public interface of `sealflow/azure`: capacity on Azure. Loads @pulumi/azure-native, by modules. */
export { AksConfidentialNodePool, type AksConfidentialNodePoolArgs } from "./azure/aks-confidential-node-pool";
export { AksPeerPods } from "./azure/aks-peer-pods";
export {
  type AksPeerPodsArgs,
  type AksWorkersArgs,
  type AzureNetworkArgs,
  AzureTee,
  type ExistingAksArgs,
  type ExistingAzureNetworkArgs,
} from "./azure/args";
export { EncryptedContainer, type EncryptedContainerArgs } from "./azure/encrypted-container";
export { type GuestImageArgs, GuestImagePolicy, type GuestSizesArgs } from "./platform/peer-pods";

/** Public interface of `sealflow/aws`: capacity on AWS, experimental. Loads @pulumi/aws, by modules. */
export {
  type AwsNetworkArgs,
  type EksPeerPodsArgs,
  type EksWorkersArgs,
  type ExistingAwsNetworkArgs,
  type ExistingEksArgs,
  ImageBootMode,
} from "./aws/args";
export {
  EksConfidentialNodeGroup,
  type EksConfidentialNodeGroupArgs,
  type SelfManagedClusterArgs,
} from "./aws/eks-confidential-node-group";
export { EksPeerPods } from "./aws/eks-peer-pods";
export { EncryptedBucket, type EncryptedBucketArgs } from "./aws/encrypted-bucket";
export { type GuestImageArgs, GuestImagePolicy, type GuestSizesArgs } from "./platform/peer-pods";

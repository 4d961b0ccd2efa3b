export {
  ADAPTOR_NAMESPACE,
  ADAPTOR_SERVICE_ACCOUNTS,
  type AwsPeerPods,
  type AzurePeerPods,
  CONFIG_LABEL,
  FORWARDER_PORT,
  type PeerPodsArgs,
  type PeerPodsChart,
  peerPodsChart,
  VXLAN_PORT,
} from "./chart";

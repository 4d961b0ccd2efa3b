export { CERT_MANAGER_NAMESPACE, certManagerChart } from "./cert-manager";
export { cloudNativePgChart } from "./cloud-native-pg";
export {
  DISTRIBUTIONS,
  type Distribution,
  type HelmChart,
  installDigest,
  KATA_NAMESPACE,
  type KataChartArgs,
  kataChart,
  TEE_SHIMS,
  type TeeShim,
} from "./kata-chart";
export {
  type KubernetesObject,
  OPERATOR_CLASSES,
  OPERATOR_NAMESPACE,
  type OperatorArgs,
  type OperatorObjects,
  operatorObjects,
} from "./operator";
export { answerRuntime, type RuntimeAnswer, type RuntimeQuestion } from "./readiness";

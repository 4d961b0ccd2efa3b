/** One environment variable more in every pod of a confidential runtime class, put in by the API server itself. */
import type { Stage } from "../../support/cluster-stage";

const GROUP = "/apis/admissionregistration.k8s.io/v1";
const NAME = "injector";
const EXPRESSION = `Object{spec: Object.spec{containers: [
  Object.spec.containers{name: "step", env: [Object.spec.containers.env{name: "TRACE", value: "1"}]}]}}`;

/** @returns what takes it away again. */
export async function injectInto({ api }: Stage): Promise<() => Promise<void>> {
  const rule = { apiGroups: [""], apiVersions: ["v1"], operations: ["CREATE"], resources: ["pods"] };
  await api.create(`${GROUP}/mutatingadmissionpolicies`, {
    metadata: { name: NAME },
    spec: {
      matchConstraints: { resourceRules: [rule] },
      matchConditions: [{ name: "guests", expression: "has(object.spec.runtimeClassName)" }],
      failurePolicy: "Fail",
      reinvocationPolicy: "Never",
      mutations: [{ patchType: "ApplyConfiguration", applyConfiguration: { expression: EXPRESSION } }],
    },
  });
  const binding = { metadata: { name: NAME }, spec: { policyName: NAME } };
  await api.create(`${GROUP}/mutatingadmissionpolicybindings`, binding);
  return async () => {
    for (const kind of ["mutatingadmissionpolicybindings", "mutatingadmissionpolicies"]) {
      await api.call("DELETE", `${GROUP}/${kind}/${NAME}`);
    }
  };
}

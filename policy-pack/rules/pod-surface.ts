/** What a step's pod must not have: the agent policy refuses it in the guest, and a preview should say so before. */
import { type Rule, type Seen, UNKNOWN, type Violation } from "../types";
import { containersOf, isFields, isStep, listOf, type Pod, podsOf, text } from "../workloads";
import { where } from "./where";

export const noSubPath: Rule = {
  name: "sealflow-no-sub-path",
  description: "Steps mount no part of a volume.",
  reason: "subPath lets whoever can write the volume choose what is mounted (CVE-2021-25741 and its kin)",
  remedy: "remove subPath and subPathExpr",
  check: eachStep((pod) =>
    containersOf(pod).flatMap(({ at, container }) =>
      listOf(container.volumeMounts).flatMap((mount) =>
        ["subPath", "subPathExpr"].filter((key) => text(mount[key])).map((key) => `${at}: ${key} "${mount[key]}"`),
      ),
    ),
  ),
};

export const noServiceAccountToken: Rule = {
  name: "sealflow-no-service-account-token",
  description: "Steps have no token of a service account.",
  reason: "a program with a token speaks to the control plane, which is not trusted, in the pipeline's name",
  remedy: "set automountServiceAccountToken: false and mount no token",
  check: eachStep((pod) => [
    ...(pod.spec.automountServiceAccountToken === false ? [] : ["automountServiceAccountToken is not false"]),
    ...listOf(pod.spec.volumes)
      .filter(({ projected }) => isFields(projected) && listOf(projected.sources).some((s) => s.serviceAccountToken))
      .map(({ name }) => `volumes[${name}] projects a service account token`),
  ]),
};

export const encryptedScratch: Rule = {
  name: "sealflow-guest-memory-only",
  description: "Steps write to guest memory; everything else they store goes through encrypted edges.",
  reason: "a volume of the cluster is read and rolled back by the host",
  remedy: 'use emptyDir with medium "Memory"; data belongs on edges',
  check: eachStep((pod) =>
    listOf(pod.spec.volumes)
      .filter(({ emptyDir }) => emptyDir !== UNKNOWN && (!isFields(emptyDir) || emptyDir.medium !== "Memory"))
      .map((volume) => `volumes[${volume.name}] is ${Object.keys(volume).find((k) => k !== "name") ?? "of no kind"}`),
  ),
};

function eachStep(problems: (pod: Pod) => string[]): (resource: Seen) => Violation[] {
  return (resource) =>
    podsOf(resource)
      .filter(isStep)
      .flatMap((pod) =>
        problems(pod).map((found) => ({ urn: resource.urn, message: `${where(resource, pod.at)}: ${found}` })),
      );
}

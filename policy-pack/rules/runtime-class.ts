/** A step's pod without a confidential runtime class is an ordinary pod: it gets no key, and its pipeline waits forever. */
import { runtimeClassProblem, USABLE_RUNTIME_CLASSES } from "../../model/platforms";
import { type Rule, type Seen, type Settings, UNKNOWN, type Violation } from "../types";
import { isStep, podsOf, text, unreadable } from "../workloads";
import { where } from "./where";

export const runtimeClass: Rule = {
  name: "sealflow-confidential-runtime-class",
  description: "Steps run under a runtime class of a confidential platform; simulated ones stay out of production.",
  reason: "a plain runtime class gives the pod to the host",
  remedy: "take the class from the environment's platform; `sealflow platforms` lists them",
  check: (resource, settings) => [...pods(resource, settings), ...hidden(resource), ...simulated(resource, settings)],
};

function pods(resource: Seen, { production }: Settings): Violation[] {
  return podsOf(resource)
    .filter((pod) => isStep(pod) && pod.spec.runtimeClassName !== UNKNOWN)
    .flatMap((pod) => {
      const found = text(pod.spec.runtimeClassName) ?? "";
      const at = `${where(resource, pod.at)}: runtimeClassName`;
      const confidential = USABLE_RUNTIME_CLASSES.get(found);
      const shown = found === "" ? "missing" : `"${found}"`;
      if (confidential === undefined) {
        const why = runtimeClassProblem(found) ?? "no platform of Sealflow has it";
        return [{ urn: resource.urn, message: `${at}: ${shown}. ${why}` }];
      }
      if (confidential || !production) return [];
      return [{ urn: resource.urn, message: `${at}: "${found}" runs simulated guests, and this stack is production` }];
    });
}

/** A rule that cannot look must not pass. */
function hidden(resource: Seen): Violation[] {
  if (!resource.type.startsWith("kubernetes:")) return [];
  return unreadable(resource.props).map((at) => ({
    urn: resource.urn,
    message: `${where(resource, at)}: starts the runner, and is no JSON manifest that the rules can read`,
  }));
}

/** Sealflow's own resources name the kind of guest. */
function simulated({ type, name, urn, props }: Seen, { production }: Settings): Violation[] {
  if (!production || !type.startsWith("sealflow:") || props.tee !== "sample") return [];
  const message = `${name}: tee: "sample" is the simulated guest, and this stack is production. Use a confidential platform`;
  return [{ urn, message }];
}

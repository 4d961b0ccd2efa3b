/** A tag can be moved by whoever holds the registry; what runs is then not what was reviewed. */
import { type Rule, type Seen, UNKNOWN, type Violation } from "../types";
import { containersOf, isStep, podsOf, text } from "../workloads";
import { where } from "./where";

const DIGEST = /@sha256:[0-9a-f]{64}$/;

export const pinnedImages: Rule = {
  name: "sealflow-pinned-images",
  description: "Images of steps and of the relying party are named by digest.",
  reason: "a tag names whatever the registry serves today",
  remedy: "append the digest: name@sha256:<64 hex digits>",
  check: (resource) => [...pods(resource), ...sources(resource)],
};

/** The owner's own services count, too: keys pass through them. */
const SERVICES = new Set(["sealflow:index:Trustee", "sealflow:index:RunLedger"]);

function pods(resource: Seen): Violation[] {
  const service = resource.parentTypes.some((type) => SERVICES.has(type));
  return podsOf(resource)
    .filter((pod) => service || isStep(pod))
    .flatMap((pod) =>
      containersOf(pod).flatMap(({ at, container }) => {
        const image = text(container.image) ?? "";
        if (container.image === UNKNOWN || DIGEST.test(image)) return [];
        const shown = image === "" ? "no image" : `"${image}" has no digest`;
        return [{ urn: resource.urn, message: `${where(resource, pod.at)}: ${at}: ${shown}` }];
      }),
    );
}

function sources({ type, name, urn, props }: Seen): Violation[] {
  if (type !== "sealflow:index:SealedImage") return [];
  const source = props.source as { kind?: unknown; reference?: unknown } | undefined;
  if (source?.kind !== "registry" || source.reference === UNKNOWN) return [];
  if (DIGEST.test(text(source.reference) ?? "")) return [];
  return [{ urn, message: `${name}: source: "${text(source.reference) ?? ""}" has no digest` }];
}

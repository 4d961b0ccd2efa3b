import type { StateResource } from "./engine-stack";
import { deletionsOf, graphText, namesOf, walkProblems } from "./graph";

const urn = (type: string, name: string): string => `urn:pulumi:dev::p::${type}::${name}`;
const SUBNET = urn("cloud:Subnet", "subnet");
const PROVIDER = urn("pulumi:providers:kubernetes", "workloads");
const DEFAULT = urn("pulumi:providers:cloud", "default_1_2_3");
const STATE: StateResource[] = [
  { urn: DEFAULT, type: "pulumi:providers:cloud", custom: true },
  { urn: SUBNET, type: "cloud:Subnet", custom: true, provider: `${DEFAULT}::id` },
  { urn: PROVIDER, type: "pulumi:providers:kubernetes", custom: true, dependencies: [SUBNET] },
  { urn: urn("k8s:Pod", "pod"), type: "k8s:Pod", custom: true, provider: `${PROVIDER}::id` },
];
const POD = urn("k8s:Pod", "pod");

const event = (kind: "resourcePreEvent" | "resOutputsEvent", of: string, op = "delete") =>
  JSON.stringify({ [kind]: { metadata: { op, urn: of } } });
const began = (of: string) => event("resourcePreEvent", of);
const ended = (of: string) => event("resOutputsEvent", of);
const walk = (...events: string[]) => walkProblems(STATE, deletionsOf(`${events.join("\n")}\n`));

test("a graph names providers that the program made, and by which of them a resource is", () => {
  expect(graphText(STATE)).toBe(
    "pod (k8s:Pod) by workloads\nsubnet (cloud:Subnet)\nworkloads (pulumi:providers:kubernetes) after subnet\n",
  );
});

test("what is deleted after all that needs it is in order, whatever else the log holds", () => {
  const gone = [POD, PROVIDER, SUBNET].flatMap((of) => [began(of), ended(of)]);
  expect(walk(event("resourcePreEvent", POD, "refresh"), ...gone)).toEqual([]);
  expect(namesOf(deletionsOf(gone.join("\n")))).toEqual(["pod", "workloads", "subnet"]);
});

test("a deletion that begins while something that needs it is not gone is told, a provider's too", () => {
  expect(walk(began(POD), began(PROVIDER), ended(PROVIDER), ended(POD), began(SUBNET), ended(SUBNET))).toEqual([
    "workloads went before pod, which needs it",
  ]);
  expect(walk(began(SUBNET), began(POD), ended(POD), began(PROVIDER), ended(PROVIDER), ended(SUBNET))).toEqual([
    "subnet went before workloads, which needs it",
  ]);
});

test("what was not deleted at all is told", () => {
  expect(walk(began(POD), ended(POD), began(PROVIDER), ended(PROVIDER))).toEqual(["subnet was not deleted"]);
});

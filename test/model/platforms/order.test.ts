import {
  creationOrder,
  deletionOrder,
  deletionProblems,
  instanceFor,
  type Part,
  partsOf,
  platformWiring,
} from "../../../model";

const peerPods = partsOf("peer-pods");
const after = (order: readonly Part[], early: Part, late: Part) => order.indexOf(early) < order.indexOf(late);

it.each<[Part, Part, string]>([
  ["workloads", "sweep", "workloads end first, then VMs are waited for"],
  ["sweep", "adaptor", "the adaptor lives until no VM is left"],
  ["adaptor", "roles", "it deletes VMs with its roles"],
  ["adaptor", "federation", "and with its login"],
  ["sweep", "network", "VMs are gone before their subnet"],
  ["adaptor", "certificates", "its webhook has a certificate"],
  ["adaptor", "workers", "Helm's hooks clean the nodes"],
  ["federation", "identity", "a login is part of an identity"],
])("%s is deleted before %s: %s", (early, late) => {
  expect(after(deletionOrder(peerPods), early, late)).toBe(true);
});

it.each(["peer-pods", "node-pool", "bare-metal", "simulated"] as const)("%s: every order made is in order", (model) => {
  const needs = partsOf(model);
  const made = creationOrder(needs);
  for (const [part, needed] of Object.entries(needs))
    for (const other of needed) expect(after(made, other, part as Part)).toBe(true);
  expect(deletionProblems(needs, deletionOrder(needs))).toEqual([]);
  expect(deletionProblems(needs, [...made]).length).toBe(Object.values(needs).flat().length);
});

it("a walk of deletions names what went too early, also among several resources of a part", () => {
  expect(deletionProblems(peerPods, ["workloads", "network", "sweep", "adaptor"])).toEqual([
    "network was deleted before adaptor, which needs it",
    "network was deleted before sweep, which needs it",
  ]);
  expect(deletionProblems(peerPods, ["adaptor", "roles", "adaptor"])).toEqual([
    "roles was deleted before adaptor, which needs it",
  ]);
});

it("a step gets the smallest size that holds it, in any order of the list", () => {
  const sizes = ["Standard_DC16as_v5", "Standard_DC4as_v5", "Standard_DC2as_v5", "Standard_EC2as_v5"];
  expect(instanceFor(sizes, { cpu: 1, memoryGiB: 4 })).toBe("Standard_DC2as_v5");
  expect(instanceFor(sizes, { cpu: 2, memoryGiB: 8 })).toBe("Standard_EC2as_v5");
  expect(instanceFor([...sizes].reverse(), { cpu: 4, memoryGiB: 8 })).toBe("Standard_DC4as_v5");
  expect(instanceFor(sizes, { cpu: 32, memoryGiB: 8 })).toBeUndefined();
});

it("shapes of a platform are sorted and of its TEE", () => {
  const shapes = platformWiring("azure-peer-pods-tdx")?.shapes ?? [];
  expect(shapes[0]).toEqual({ name: "Standard_DC2es_v6", vcpus: 2, memoryGiB: 8 });
  for (const { name } of shapes) expect(name).toMatch(/^Standard_(DC|EC)\d+ed?s_v6$/);
});

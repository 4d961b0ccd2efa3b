import {
  FAMILIES,
  familyOf,
  INITDATA_CARRIERS,
  initdataAlgorithm,
  PLATFORMS,
  platformProblem,
  platformWiring,
  runtimeClassProblem,
  stepPlatformProblem,
} from "../../../model";

const usable = PLATFORMS.filter(({ state }) => state !== "refused");
const refused = PLATFORMS.filter(({ state }) => state === "refused");

describe("a platform", () => {
  it("that may be used has nothing against it, nor have its runtime classes", () => {
    for (const { platform, runtimeClasses, instead } of usable) {
      expect(platformProblem(platform)).toBeUndefined();
      expect(instead).toBe("");
      for (const name of runtimeClasses) expect(runtimeClassProblem(name)).toBeUndefined();
    }
  });

  it("is supported, experimental or refused as the design says", () => {
    const named = (state: string) => PLATFORMS.filter((row) => row.state === state).map(({ platform }) => platform);
    expect(named("supported")).toEqual([
      "local",
      "azure-peer-pods-snp",
      "azure-peer-pods-tdx",
      "baremetal-snp",
      "baremetal-tdx",
    ]);
    expect(named("experimental")).toEqual([
      "azure-peer-pods-gpu",
      "aks-confidential-nodes",
      "aws-peer-pods-snp",
      "eks-confidential-nodes",
      "baremetal-nvidia-snp",
      "baremetal-nvidia-tdx",
    ]);
  });

  it.each(refused)("$platform is refused with reason and remedy", (row) => {
    expect(platformProblem(row.platform)).toBe(
      `platform "${row.platform}" is refused: ${row.reason}. Use ${row.instead}`,
    );
    expect(row.instead).not.toBe("");
    for (const name of row.runtimeClasses) expect(runtimeClassProblem(name)).toContain(row.reason);
  });

  it.each(refused)("$platform sends nobody to another that is refused", ({ instead }) => {
    for (const other of refused) expect(instead.split(/[ ,:]+/)).not.toContain(other.platform);
  });

  it("without a row is refused, with the one that was meant", () => {
    expect(platformProblem("locl")).toMatch(
      /^there is no platform "locl" \(has local, azure-peer-pods-snp, .*Did you mean "local"\?$/,
    );
  });

  it("is never called confidential when nothing attests, and a refused runtime class is refused everywhere", () => {
    for (const { confidential, tee } of PLATFORMS)
      if (tee === null || tee === "sample") expect(confidential).toBe(false);
    const good = new Set(usable.flatMap(({ runtimeClasses }) => runtimeClasses));
    const bad = refused.flatMap(({ runtimeClasses }) => runtimeClasses);
    expect(bad.filter((name) => good.has(name))).toEqual([]);
    expect(new Set(bad).size).toBe(bad.length);
  });

  it.each(PLATFORMS)("$platform has a source, known families and one name", (row) => {
    expect(row.source).not.toBe("");
    expect(PLATFORMS.filter(({ platform }) => platform === row.platform)).toHaveLength(1);
    for (const name of row.families) {
      expect(FAMILIES).toContainEqual(
        expect.objectContaining({ family: name, cloud: row.cloud, hardware: row.hardware, gpu: row.gpu }),
      );
    }
  });

  it.each(usable.filter(({ tee }) => tee !== null))("$platform wires evidence, initdata and runtime class", (row) => {
    const wiring = platformWiring(row.platform);
    expect(wiring).toMatchObject({ tee: row.tee, runtimeClass: row.runtimeClasses[0], confidential: row.confidential });
    expect(wiring?.initdata.algorithm).toBe(initdataAlgorithm(row.tee as "snp"));
    expect(wiring?.initdata.limit).toBe(INITDATA_CARRIERS[wiring?.initdata.carrier ?? "kubernetes"].limit);
    expect(wiring?.shapes.length ?? 0).toBeGreaterThan(row.model === "peer-pods" ? 0 : -1);
    expect(stepPlatformProblem(row.platform)).toBeUndefined();
  });

  it.each(usable.filter(({ tee }) => tee === null))("$platform runs no steps", ({ platform }) => {
    expect(platformWiring(platform)).toBeUndefined();
    expect(stepPlatformProblem(platform)).toMatch(/runs no steps: the whole node is one .* boundary is the pod$/);
  });

  it("whose initdata is bound to nothing is neither supported nor bound elsewhere by mistake", () => {
    const unbound = usable.filter(({ confidential, initdata }) => confidential && initdata?.bound === "none");
    expect(unbound.map(({ platform }) => platform)).toEqual(["aws-peer-pods-snp"]);
    for (const { state } of unbound) expect(state).toBe("experimental");
  });
});

describe("an instance family", () => {
  it.each(FAMILIES)(
    "$family matches its sizes and no other family does",
    ({ family, sizes, pattern, state, instead }) => {
      for (const { name } of sizes) {
        expect(familyOf(name)?.family).toBe(family);
        expect(FAMILIES.filter((other) => other.pattern.test(name))).toHaveLength(1);
        expect(name).toMatch(pattern);
      }
      expect(state === "refused").toBe(instead !== "");
      expect(state === "refused").toBe(sizes.length === 0);
    },
  );
});

it.each([
  ["", "no runtime class is refused: containers of the node itself"],
  ["runc", 'runtime class "runc" is refused: containers of the node itself'],
  ["kata-qemu-coco-dev", 'runtime class "kata-qemu-coco-dev" is refused: Kata without a TEE'],
  ["kata-qemu-snp-debug", 'runtime class "kata-qemu-snp-debug" is refused: debug variants open a console'],
])("a step never runs under %j", (name, expected) => expect(runtimeClassProblem(name)).toContain(expected));

it.each([["kata-qemu-snp"], ["kata-qemu-tdx"], ["kata-remote"], ["sealflow-simulated"]])("%s may be used", (name) =>
  expect(runtimeClassProblem(name)).toBeUndefined(),
);

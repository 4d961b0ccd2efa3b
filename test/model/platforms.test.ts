import { PLATFORMS, platformProblem, runtimeClassProblem } from "../../model";

describe("a platform", () => {
  it("that is supported has nothing against it, nor have its runtime classes", () => {
    const supported = PLATFORMS.filter(({ state }) => state === "supported");
    expect(supported.map(({ platform }) => platform)).toEqual(["local"]);
    for (const { platform, runtimeClasses } of supported) {
      expect(platformProblem(platform)).toBeUndefined();
      for (const name of runtimeClasses) expect(runtimeClassProblem(name)).toBeUndefined();
    }
  });

  it.each(PLATFORMS.filter(({ state }) => state === "refused"))(
    "$platform is refused with reason and remedy",
    (row) => {
      expect(platformProblem(row.platform)).toBe(
        `platform "${row.platform}" is refused: ${row.reason}. Use ${row.instead}`,
      );
      expect(row.source).not.toBe("");
      for (const name of row.runtimeClasses) expect(runtimeClassProblem(name)).toContain(row.reason);
    },
  );

  it("without a row is refused, with the one that was meant", () => {
    expect(platformProblem("locl")).toBe('there is no platform "locl" (has local). Did you mean "local"?');
  });

  it("is never called confidential when nothing attests, and each runtime class has one row", () => {
    for (const { confidential, tee } of PLATFORMS)
      if (tee === null || tee === "sample") expect(confidential).toBe(false);
    const classes = PLATFORMS.flatMap(({ runtimeClasses }) => runtimeClasses);
    expect(new Set(classes).size).toBe(classes.length);
  });
});

it.each([
  ["", "no runtime class is refused: containers of the node itself"],
  ["runc", 'runtime class "runc" is refused: containers of the node itself'],
  ["kata-qemu-coco-dev", 'runtime class "kata-qemu-coco-dev" is refused: Kata without a TEE'],
])("a step never runs under %j", (name, expected) => expect(runtimeClassProblem(name)).toContain(expected));

it.each([["kata-qemu-snp"], ["kata-qemu-tdx"], ["kata-remote"], ["sealflow-simulated"]])("%s may be used", (name) =>
  expect(runtimeClassProblem(name)).toBeUndefined(),
);

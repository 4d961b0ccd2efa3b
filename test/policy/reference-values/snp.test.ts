import {
  measurePodShapes,
  snpLaunchMeasurement,
  snpLaunchMeasurements,
  vcpusOf,
} from "../../../policy/reference-values";
import { COMMAND_LINE, firmware, INITRD, KERNEL, SECTIONS } from "./firmware";

const boot = { kernel: KERNEL, initrd: INITRD, commandLine: COMMAND_LINE };
const args = { firmware: firmware(), boot, cpu: "EPYC-v4" as const };

describe("a launch measurement", () => {
  it("has the bytes of the reference implementation (sev-snp-measure 0.0.13 on the same input)", () => {
    expect(snpLaunchMeasurement({ ...args, vcpus: 2 })).toBe(
      "087ab554e0eff065ed0655d61775abc9e13a54e08690d6bd9b43459723cbf9253bb612c1c5389515c3603d0ee11117d8",
    );
  });

  it.each([
    ["kernel", { boot: { ...boot, kernel: Buffer.from(KERNEL).fill(0, 0, 1) } }],
    ["initrd", { boot: { ...boot, initrd: Buffer.alloc(0) } }],
    ["command line", { boot: { ...boot, commandLine: `${COMMAND_LINE} agent.debug_console` } }],
    ["command line, missing", { boot: { ...boot, commandLine: "" } }],
    ["CPU model", { cpu: "EPYC-Genoa" as const }],
    ["features", { features: 3 }],
    ["firmware byte", { firmware: firmware().fill(1, 100, 101) }],
    ["start of further vCPUs", { firmware: firmware({ resetEip: 0x80_b008 }) }],
    ["memory area", { firmware: firmware({ sections: SECTIONS.filter(([gpa]) => gpa !== 0x80_a000) }) }],
  ])("changes with the %s", (_what, change) => {
    expect(snpLaunchMeasurement({ ...args, ...change, vcpus: 2 })).not.toBe(
      snpLaunchMeasurement({ ...args, vcpus: 2 }),
    );
  });

  it("differs for each number of vCPUs, computed alone or together", () => {
    const together = snpLaunchMeasurements(args, [1, 2, 3, 8]);
    expect(new Set(together).size).toBe(4);
    expect([1, 2, 3, 8].map((vcpus) => snpLaunchMeasurement({ ...args, vcpus }))).toEqual(together);
  });

  it.each<[string, Buffer, string]>([
    ["is not whole pages", firmware().subarray(1), "whole pages"],
    ["has no table", firmware({ footer: "00000000-0000-0000-0000-000000000000" }), "table of GUIDs"],
    ["is empty", Buffer.alloc(4096), "table of GUIDs"],
    ["has a section of unknown type", firmware({ sections: [[0x80_0000, 0x1000, 9]] }), "unknown type 9"],
    ["has a section of half a page", firmware({ sections: [[0x80_0000, 0x800, 1]] }), "whole pages"],
    ["takes no kernel", firmware({ sections: SECTIONS.filter(([, , type]) => type !== 0x10) }), "could boot any"],
    ["has nowhere for the hashes", firmware({ hashTableGpa: null }), "inside one page"],
    ["has them across pages", firmware({ hashTableGpa: 0x81_0ff0 }), "inside one page"],
  ])("of a firmware that %s is refused", (_what, file, message) => {
    expect(() => snpLaunchMeasurement({ ...args, firmware: file, vcpus: 1 })).toThrow(message);
  });

  it("no byte of the tables, changed, makes another error than FIRMWARE", () => {
    const file = firmware();
    for (const start of [file.length - 0x1000, file.length - 160]) {
      for (let i = 0; i < 128; i++) {
        const changed = Buffer.from(file);
        changed[start + i] = (changed[start + i] ?? 0) ^ 0xff;
        try {
          expect(snpLaunchMeasurement({ ...args, firmware: changed, vcpus: 1 })).not.toBe(
            snpLaunchMeasurement({ ...args, vcpus: 1 }),
          );
        } catch (error) {
          expect(error).toMatchObject({ code: "FIRMWARE" });
        }
      }
    }
  });

  it.each([
    [0, "expected 1 to 512"],
    [1.5, "expected 1 to 512"],
    [513, "expected 1 to 512"],
  ])("%d vCPUs are refused", (vcpus, message) => {
    expect(() => snpLaunchMeasurement({ ...args, vcpus })).toThrow(message);
    expect(() => snpLaunchMeasurement({ ...args, vcpus: 1, cpu: "Opteron" as never })).toThrow("EPYC-Genoa");
  });
});

describe("pod shapes", () => {
  it.each([
    ["1", 2],
    [2, 3],
    ["500m", 2],
    ["1500m", 3],
    ["0.1", 2],
    ["2.0", 3],
  ])("a limit of %s CPUs boots a guest of %d vCPUs", (cpu, vcpus) => expect(vcpusOf(cpu)).toBe(vcpus));

  it("a runtime without a default vCPU of its own", () => expect(vcpusOf("500m", { defaultVcpus: 0 })).toBe(1));

  it.each(["", "2 cores", "-1", "300", "1e3"])("a limit of %j is refused", (cpu) => {
    expect(() => vcpusOf(cpu)).toThrow("cpu");
  });

  it("steps of one size share a measurement, each size has its own", () => {
    const shapes = measurePodShapes(args, [
      { step: "train", cpu: 4 },
      { step: "split", cpu: "500m" },
      { step: "report", cpu: 1 },
    ]);
    expect(shapes.map(({ vcpus, steps }) => [vcpus, steps])).toEqual([
      [2, ["report", "split"]],
      [5, ["train"]],
    ]);
    expect(shapes[0]?.measurement).toBe(snpLaunchMeasurement({ ...args, vcpus: 2 }));
    expect(shapes[1]?.measurement).toBe(snpLaunchMeasurement({ ...args, vcpus: 5 }));
  });
});

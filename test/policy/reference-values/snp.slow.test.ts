/** Our launch measurement beside the reference implementation's, on a made-up firmware and on Debian's real one. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CPU_MODELS, type CpuModel, cpuSignature, snpLaunchMeasurement } from "../../../policy/reference-values";
import { COMMAND_LINE, firmware, INITRD, KERNEL } from "./firmware";

interface ToolArgs {
  ovmf: string;
  vcpus: number;
  cpu?: string;
  signature?: number;
  features?: number;
  kernel?: string;
  initrd?: string;
  append?: string;
}
const { findSevSnpMeasure, findOvmf, sevSnpMeasure } = require("../../../tools/sev-snp-measure.js") as {
  findSevSnpMeasure(): string | undefined;
  findOvmf(): string | undefined;
  sevSnpMeasure(command: string, args: ToolArgs): string;
};
const tool = findSevSnpMeasure();
const withTool = tool === undefined ? it.skip : it;
const real = tool === undefined ? undefined : findOvmf();

let dir: string;
const at = (name: string): string => join(dir, name);
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "sealflow-snp-"));
  writeFileSync(at("ovmf.fd"), firmware());
  writeFileSync(at("kernel"), KERNEL);
  writeFileSync(at("initrd"), INITRD);
});
afterAll(() => rmSync(dir, { recursive: true }));

const theirs = (args: Omit<ToolArgs, "ovmf">, ovmf = at("ovmf.fd")) => sevSnpMeasure(tool as string, { ovmf, ...args });

describe("equal to sev-snp-measure:", () => {
  withTool.each(Object.keys(CPU_MODELS) as CpuModel[])("%s, 1 and 4 vCPUs, direct boot", (cpu) => {
    for (const vcpus of [1, 4]) {
      const boot = { kernel: KERNEL, initrd: INITRD, commandLine: COMMAND_LINE };
      const expected = theirs({ vcpus, cpu, kernel: at("kernel"), initrd: at("initrd"), append: COMMAND_LINE });
      expect(snpLaunchMeasurement({ firmware: firmware(), boot, vcpus, cpu })).toBe(expected);
    }
  });

  withTool.each([
    ["no direct boot", {}, {}],
    ["no initrd", { boot: { kernel: KERNEL, commandLine: COMMAND_LINE } }, { initrd: false }],
    ["an empty command line", { boot: { kernel: KERNEL, initrd: INITRD, commandLine: "" } }, { append: "" }],
    ["other features", { features: 0x21 }, { features: 0x21 }],
    ["a bare signature", { cpu: cpuSignature(26, 2, 1) }, { signature: cpuSignature(26, 2, 1) }],
  ] as const)("%s", (_what, ours, args) => {
    const { initrd, ...rest } = args as { initrd?: false; append?: string; features?: number; signature?: number };
    const direct = "boot" in ours;
    const files = {
      kernel: at("kernel"),
      ...(initrd === false ? {} : { initrd: at("initrd") }),
      append: COMMAND_LINE,
    };
    const expected = theirs({
      vcpus: 2,
      ...(rest.signature === undefined ? { cpu: "EPYC-v4" } : {}),
      ...(direct ? files : {}),
      ...rest,
    });
    expect(snpLaunchMeasurement({ firmware: firmware(), vcpus: 2, cpu: "EPYC-v4", ...ours })).toBe(expected);
  });

  (real === undefined ? it.skip : it)("Debian's OVMF.fd, 1 to 8 vCPUs", () => {
    const file = readFileSync(real as string);
    for (const vcpus of [1, 2, 8]) {
      const expected = theirs({ vcpus, cpu: "EPYC-Milan" }, real);
      expect(snpLaunchMeasurement({ firmware: file, vcpus, cpu: "EPYC-Milan" })).toBe(expected);
    }
    console.info(`${real}: ${file.length} bytes measured as the reference tool does`);
  });
});

/**
 * The launch measurement of an SEV-SNP guest that QEMU starts, as the security processor reports it: firmware, the areas
 * it asks for, kernel, initrd and command line by hash, and one state page per vCPU.
 */
import { hex } from "../../../protocol/bytes";
import { PolicyError } from "../../errors";
import { type DirectBoot, KERNEL_HASHES_SIZE, kernelHashesPage } from "./kernel-hashes";
import { LaunchContext } from "./launch-context";
import { type Ovmf, parseOvmf, SECTION } from "./ovmf";
import { type CpuModel, RESET_VECTOR, signatureOf, vmsaPage } from "./vcpu";

export type { DirectBoot } from "./kernel-hashes";
export { CPU_MODELS, type CpuModel, cpuSignature } from "./vcpu";

export interface SnpLaunchArgs {
  /** The OVMF file that QEMU's -bios gets. */
  readonly firmware: Uint8Array;
  /** What QEMU boots directly; leave it out only for a guest that boots from its disk, which is then not measured here. */
  readonly boot?: DirectBoot;
  readonly vcpus: number;
  /** QEMU's `-cpu` model, or a CPUID signature. */
  readonly cpu: CpuModel | number;
  /** SEV_FEATURES of the guest; default 1, SNP alone. */
  readonly features?: number;
}

/** @returns 48 bytes as lower-case hex. @throws PolicyError FIRMWARE or REFERENCE_VALUES. */
export function snpLaunchMeasurement(args: SnpLaunchArgs): string {
  return snpLaunchMeasurements(args, [args.vcpus])[0] as string;
}

/**
 * The measurements of guests that differ in their number of vCPUs only; the firmware is hashed once.
 * @returns one per entry of `vcpus`, in order.
 */
export function snpLaunchMeasurements(args: Omit<SnpLaunchArgs, "vcpus">, vcpus: readonly number[]): string[] {
  const wrong = vcpus.filter((n) => !Number.isInteger(n) || n < 1 || n > 512);
  if (wrong.length > 0 || vcpus.length === 0) {
    throw new PolicyError("REFERENCE_VALUES", `vCPUs ${wrong.join(", ") || "(none)"}: expected 1 to 512`);
  }
  const { firmware, boot, cpu, features = 1 } = args;
  const signature = signatureOf(cpu);
  const ovmf = parseOvmf(firmware);
  const context = new LaunchContext();
  context.normal(ovmf.gpa, ovmf.bytes);
  addSections(context, ovmf, boot);
  context.vmsa(vmsaPage({ eip: RESET_VECTOR, signature, features }));
  const further = vmsaPage({ eip: ovmf.resetEip, signature, features });
  const after = [hex(context.digest)];
  for (let n = 2; n <= Math.max(...vcpus); n++) {
    context.vmsa(further);
    after.push(hex(context.digest));
  }
  return vcpus.map((n) => after[n - 1] as string);
}

function addSections(context: LaunchContext, ovmf: Ovmf, boot: DirectBoot | undefined): void {
  if (boot && !ovmf.sections.some(({ type }) => type === SECTION.kernelHashes)) {
    throw new PolicyError(
      "FIRMWARE",
      "OVMF firmware: it takes no hashes of kernel, initrd and command line, so the host could boot any; use the AmdSevX64 build",
    );
  }
  for (const { gpa, size, type } of ovmf.sections) {
    if (type === SECTION.secrets) context.secrets(gpa);
    else if (type === SECTION.cpuid) context.cpuid(gpa);
    else if (type === SECTION.kernelHashes && boot) context.normal(gpa, hashesPage(ovmf, boot, size));
    else context.zero(gpa, size);
  }
}

function hashesPage(ovmf: Ovmf, boot: DirectBoot, size: number): Uint8Array {
  const offset = ovmf.hashTableGpa === undefined ? 4096 : ovmf.hashTableGpa % 4096;
  if (ovmf.hashTableGpa === 0 || offset + KERNEL_HASHES_SIZE > 4096 || size !== 4096) {
    throw new PolicyError("FIRMWARE", "OVMF firmware: its place for the hashes of the kernel is not inside one page");
  }
  return kernelHashesPage(boot, offset);
}

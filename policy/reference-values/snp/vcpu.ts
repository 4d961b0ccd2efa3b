/**
 * The state in which a vCPU starts, which the launch measures as one page per vCPU. Offsets: AMD64 Architecture
 * Programmer's Manual, volume 2, table B-4; values: KVM and QEMU at reset.
 */
import { PolicyError } from "../../errors";

/** Where the first vCPU starts: the reset vector. */
export const RESET_VECTOR = 0xffff_fff0;

/** CPUID signature (leaf 1, EAX) of a family, model and stepping. Source: AMD CPUID specification 25481. */
export function cpuSignature(family: number, model: number, stepping: number): number {
  const [low, high] = family > 0xf ? [0xf, family - 0xf] : [family, 0];
  return (high << 20) | ((model >> 4) << 16) | (low << 8) | ((model & 0xf) << 4) | (stepping & 0xf);
}

const NAPLES = cpuSignature(23, 1, 2);
const ROME = cpuSignature(23, 49, 0);
const MILAN = cpuSignature(25, 1, 1);
const GENOA = cpuSignature(25, 17, 0);
const TURIN = cpuSignature(26, 0, 0);

/** Models of QEMU's `-cpu`; Kata starts SNP guests with EPYC-v4 unless configured otherwise. */
export const CPU_MODELS = {
  EPYC: NAPLES,
  "EPYC-v1": NAPLES,
  "EPYC-v2": NAPLES,
  "EPYC-IBPB": NAPLES,
  "EPYC-v3": NAPLES,
  "EPYC-v4": NAPLES,
  "EPYC-Rome": ROME,
  "EPYC-Rome-v1": ROME,
  "EPYC-Rome-v2": ROME,
  "EPYC-Rome-v3": ROME,
  "EPYC-Milan": MILAN,
  "EPYC-Milan-v1": MILAN,
  "EPYC-Milan-v2": MILAN,
  "EPYC-Genoa": GENOA,
  "EPYC-Genoa-v1": GENOA,
  "EPYC-Turin": TURIN,
} as const;
export type CpuModel = keyof typeof CPU_MODELS;

/** A model by name, or a signature as CPUID reports it. @throws PolicyError REFERENCE_VALUES. */
export function signatureOf(cpu: CpuModel | number): number {
  if (typeof cpu === "number") {
    if (Number.isInteger(cpu) && cpu > 0 && cpu <= 0xffff_ffff) return cpu;
  } else if (Object.hasOwn(CPU_MODELS, cpu)) return CPU_MODELS[cpu];
  const known = Object.keys(CPU_MODELS).join(", ");
  throw new PolicyError("REFERENCE_VALUES", `CPU "${cpu}": expected a CPUID signature or one of ${known}`);
}

const SEGMENTS: readonly (readonly [offset: number, selector: number, attributes: number])[] = [
  [0x00, 0, 0x93], // ES
  [0x10, 0xf000, 0x9b], // CS
  [0x20, 0, 0x93], // SS
  [0x30, 0, 0x93], // DS
  [0x40, 0, 0x93], // FS
  [0x50, 0, 0x93], // GS
  [0x60, 0, 0], // GDTR
  [0x70, 0, 0x82], // LDTR
  [0x80, 0, 0], // IDTR
  [0x90, 0, 0x8b], // TR
];
const CS_BASE = 0x18;

/** Offset → 64-bit value of the registers that are not zero at reset and do not depend on the guest. */
const REGISTERS: readonly (readonly [number, bigint])[] = [
  [0xd0, 0x1000n], // EFER: SVME
  [0x148, 0x40n], // CR4: MCE
  [0x158, 0x10n], // CR0: ET
  [0x160, 0x400n], // DR7
  [0x168, 0xffff_0ff0n], // DR6
  [0x170, 0x2n], // RFLAGS
  [0x268, 0x0007_0406_0007_0406n], // PAT
  [0x3e8, 0x1n], // XCR0
];
const RIP = 0x178;
const RDX = 0x310;
const SEV_FEATURES = 0x3b0;
const MXCSR = 0x408;
const FCW = 0x410;

export interface VcpuStart {
  /** Instruction pointer: RESET_VECTOR, or the firmware's for every vCPU but the first. */
  readonly eip: number;
  readonly signature: number;
  /** SEV_FEATURES: 1 is SNP alone. */
  readonly features: number;
}

/** One page. */
export function vmsaPage({ eip, signature, features }: VcpuStart): Uint8Array {
  const page = Buffer.alloc(4096);
  for (const [at, selector, attributes] of SEGMENTS) {
    page.writeUInt16LE(selector, at);
    page.writeUInt16LE(attributes, at + 2);
    page.writeUInt32LE(0xffff, at + 4);
  }
  page.writeBigUInt64LE(BigInt(eip) & 0xffff_0000n, CS_BASE);
  for (const [at, value] of REGISTERS) page.writeBigUInt64LE(value, at);
  page.writeBigUInt64LE(BigInt(eip & 0xffff), RIP);
  page.writeBigUInt64LE(BigInt(signature), RDX);
  page.writeBigUInt64LE(BigInt(features), SEV_FEATURES);
  page.writeUInt32LE(0x1f80, MXCSR);
  page.writeUInt16LE(0x37f, FCW);
  return page;
}

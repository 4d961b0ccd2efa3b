/** A firmware file with the tables that an SEV-SNP launch reads, and recognisable bytes in between. */
import { guidBytes, SECTION } from "../../../policy/reference-values/snp/ovmf";

export type Section = readonly [gpa: number, size: number, type: number];

export const SECTIONS: readonly Section[] = [
  [0x80_0000, 0x9000, SECTION.memory],
  [0x80_a000, 0x3000, SECTION.memory],
  [0x80_d000, 0x1000, SECTION.secrets],
  [0x80_e000, 0x1000, SECTION.cpuid],
  [0x80_f000, 0x1000, SECTION.svsmCalling],
  [0x81_0000, 0x1000, SECTION.kernelHashes],
];

export interface FirmwareArgs {
  readonly size?: number;
  readonly sections?: readonly Section[];
  readonly resetEip?: number;
  /** null leaves the entry out. */
  readonly hashTableGpa?: number | null;
  readonly footer?: string;
}

const u32 = (...values: number[]): Buffer => {
  const out = Buffer.alloc(4 * values.length);
  values.forEach((v, i) => void out.writeUInt32LE(v, 4 * i));
  return out;
};

export function firmware({
  size = 64 * 1024,
  sections = SECTIONS,
  resetEip = 0x80_b004,
  hashTableGpa = 0x81_0c00,
  footer = "96b582de-1fb2-45f7-baea-a366c55a082d",
}: FirmwareArgs = {}): Buffer {
  const file = Buffer.alloc(size);
  for (let i = 0; i < size; i++) file[i] = (i * 7 + (i >> 8)) & 0xff;
  const metadata = Buffer.concat([
    Buffer.from("ASEV"),
    u32(16 + 12 * sections.length, 1, sections.length),
    ...sections.map((s) => u32(...s)),
  ]);
  const fromEnd = 0x1000;
  metadata.copy(file, size - fromEnd);
  const entry = (guid: string, data: Buffer): Buffer => {
    const length = Buffer.alloc(2);
    length.writeUInt16LE(data.length + 18);
    return Buffer.concat([data, length, guidBytes(guid)]);
  };
  const entries = Buffer.concat([
    entry("dc886566-984a-4798-a75e-5585a7bf67cc", u32(fromEnd)),
    ...(hashTableGpa === null ? [] : [entry("7255371f-3a3b-4b04-927b-1da6efa8d454", u32(hashTableGpa, 0x400))]),
    entry("00f771de-1a7e-4fcb-890e-68c77e2fb44e", u32(resetEip)),
  ]);
  const tail = Buffer.alloc(2);
  tail.writeUInt16LE(entries.length + 18);
  const table = Buffer.concat([entries, tail, guidBytes(footer)]);
  table.copy(file, size - 32 - table.length);
  return file;
}

export const KERNEL = Buffer.from("a kernel\n".repeat(1000));
export const INITRD = Buffer.from("an initrd\n".repeat(500));
export const COMMAND_LINE = "root=/dev/dm-0 ro console=hvc0 agent.debug_console=false";

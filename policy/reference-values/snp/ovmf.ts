/**
 * The parts of an OVMF firmware file that an SEV-SNP launch measures. A table of GUID entries ends 32 bytes before the
 * end of the file and is read backwards; one entry points to the SEV metadata, the list of memory areas that the
 * hypervisor prepares. Sources: edk2 OvmfPkg/ResetVector/Ia16/ResetVectorVtf0.asm and X64/OvmfSevMetadata.asm.
 */
import { buffer } from "../../../protocol/bytes";
import { PolicyError } from "../../errors";

/** What a memory area is for; the numbers are those of OvmfSevMetadata.asm. */
export const SECTION = { memory: 1, secrets: 2, cpuid: 3, svsmCalling: 4, kernelHashes: 0x10 } as const;

export interface OvmfSection {
  /** Guest-physical address, page-aligned. */
  readonly gpa: number;
  /** Bytes, whole pages. */
  readonly size: number;
  readonly type: (typeof SECTION)[keyof typeof SECTION];
}

export interface Ovmf {
  readonly bytes: Uint8Array;
  /** Guest-physical address of the first byte: the file ends at 4 GiB. */
  readonly gpa: number;
  /** Instruction pointer at which the second and later vCPUs start. */
  readonly resetEip: number;
  /** Where the hash table of kernel, initrd and command line lies; undefined when the firmware takes none. */
  readonly hashTableGpa: number | undefined;
  readonly sections: readonly OvmfSection[];
}

const FOUR_GIB = 2 ** 32;
const PAGE = 4096;
/** Real firmware asks for less than 1 MiB at a time; more would only keep this busy. */
const MAX_SECTION = 16 * 2 ** 20;
/** Size (u16) and GUID of an entry, at its end. */
const ENTRY_TAIL = 18;
const GUIDS = {
  footer: "96b582de-1fb2-45f7-baea-a366c55a082d",
  hashTable: "7255371f-3a3b-4b04-927b-1da6efa8d454",
  resetBlock: "00f771de-1a7e-4fcb-890e-68c77e2fb44e",
  metadata: "dc886566-984a-4798-a75e-5585a7bf67cc",
} as const;

/** @throws PolicyError FIRMWARE with what is missing. */
export function parseOvmf(bytes: Uint8Array): Ovmf {
  if (bytes.length < PAGE || bytes.length % PAGE !== 0 || bytes.length > 64 * 2 ** 20) {
    throw bad(`it has ${bytes.length} bytes, expected whole pages of 4096, at most 64 MiB`);
  }
  const table = guidTable(bytes);
  const reset = table.get(GUIDS.resetBlock);
  if (reset === undefined) throw bad("it has no SEV-ES reset block; take a build of OvmfPkgX64 or AmdSevX64");
  const gpa = FOUR_GIB - bytes.length;
  const hashTable = table.get(GUIDS.hashTable);
  return {
    bytes,
    gpa,
    resetEip: firstU32(reset, "reset block"),
    hashTableGpa: hashTable && firstU32(hashTable, "hash table"),
    sections: sectionsOf(bytes, table.get(GUIDS.metadata)),
  };
}

function guidTable(bytes: Uint8Array): Map<string, Buffer> {
  const all = buffer(bytes);
  const footer = all.length - 32 - ENTRY_TAIL;
  const size = all.readUInt16LE(footer);
  if (guidAt(all, footer + 2) !== GUIDS.footer || size < ENTRY_TAIL || size - ENTRY_TAIL > footer) {
    throw bad("the table of GUIDs before its last 32 bytes is missing; it is no OVMF code file");
  }
  const table = new Map<string, Buffer>();
  const start = footer - (size - ENTRY_TAIL);
  for (let end = footer; end - start >= ENTRY_TAIL; ) {
    const entry = all.readUInt16LE(end - ENTRY_TAIL);
    if (entry < ENTRY_TAIL || end - entry < start) throw bad(`a GUID entry claims ${entry} bytes`);
    table.set(guidAt(all, end - 16), all.subarray(end - entry, end - ENTRY_TAIL));
    end -= entry;
  }
  return table;
}

function sectionsOf(bytes: Uint8Array, entry: Buffer | undefined): OvmfSection[] {
  if (entry === undefined) throw bad("it has no SEV metadata, so it cannot start as SEV-SNP");
  const all = buffer(bytes);
  const start = all.length - firstU32(entry, "SEV metadata");
  if (start < 0 || start + 16 > all.length || all.toString("latin1", start, start + 4) !== "ASEV") {
    throw bad("the SEV metadata does not begin with ASEV");
  }
  const version = all.readUInt32LE(start + 8);
  const count = all.readUInt32LE(start + 12);
  if (version !== 1) throw bad(`its SEV metadata has version ${version}, expected 1`);
  if (count > 256 || start + 16 + 12 * count > all.length) throw bad(`it claims ${count} SEV metadata sections`);
  return Array.from({ length: count }, (_, i) => {
    const at = start + 16 + 12 * i;
    const [gpa, size, type] = [all.readUInt32LE(at), all.readUInt32LE(at + 4), all.readUInt32LE(at + 8)];
    if (!(Object.values(SECTION) as number[]).includes(type)) {
      throw bad(`SEV metadata section ${i} is of unknown type ${type}, so this version cannot measure it`);
    }
    if (gpa % PAGE !== 0 || size % PAGE !== 0) throw bad(`SEV metadata section ${i} is not made of whole pages`);
    if (size > MAX_SECTION) throw bad(`SEV metadata section ${i} has ${size} bytes, at most ${MAX_SECTION}`);
    return { gpa, size, type: type as OvmfSection["type"] };
  });
}

function firstU32(data: Buffer, what: string): number {
  if (data.length < 4) throw bad(`its ${what} entry has ${data.length} bytes, expected 4`);
  return data.readUInt32LE(0);
}

/** The first three fields of a GUID are little-endian, the last two are bytes in order. */
export function guidBytes(guid: string): Buffer {
  const raw = Buffer.from(guid.replaceAll("-", ""), "hex");
  for (const [at, length] of [
    [0, 4],
    [4, 2],
    [6, 2],
  ] as const) {
    raw.subarray(at, at + length).reverse();
  }
  return raw;
}

function guidAt(all: Buffer, at: number): string {
  const raw = Buffer.from(all.subarray(at, at + 16));
  const text = guidBytes(raw.toString("hex")).toString("hex");
  return text.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

const bad = (why: string): PolicyError => new PolicyError("FIRMWARE", `OVMF firmware: ${why}`);

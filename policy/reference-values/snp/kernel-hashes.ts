/**
 * The page in which QEMU (`kernel-hashes=on`) tells the firmware what kernel, initrd and command line to accept, so that
 * the measurement of the firmware covers them too. Layout: QEMU target/i386/sev.c, `SevHashTable`.
 */
import { createHash } from "node:crypto";
import { utf8 } from "../../../protocol/bytes";
import { guidBytes } from "./ovmf";

const TABLE = "9438d606-4f22-4cc9-b479-a793d411fd21";
const KERNEL = "4de79437-abd2-427f-b835-d5b172d2045b";
const INITRD = "44baf731-3a2f-4bd7-9af1-41e29169781d";
const COMMAND_LINE = "97d02dd8-bd20-4c94-aa78-e7714d36ab2a";
const PAGE = 4096;
/** GUID, length (u16), SHA-256. */
const ENTRY = 16 + 2 + 32;
const HEADER = 16 + 2;

export interface DirectBoot {
  readonly kernel: Uint8Array;
  /** Default none, which is measured as an empty file: Kata's guests boot from a measured root disk instead. */
  readonly initrd?: Uint8Array;
  /** Exactly as given to QEMU's -append. */
  readonly commandLine: string;
}

/** @param offset of the table in its page, bytes. */
export function kernelHashesPage({ kernel, initrd, commandLine }: DirectBoot, offset: number): Uint8Array {
  const page = Buffer.alloc(PAGE);
  const entries: [string, Uint8Array][] = [
    [COMMAND_LINE, utf8(`${commandLine}\0`)],
    [INITRD, initrd ?? new Uint8Array()],
    [KERNEL, kernel],
  ];
  guidBytes(TABLE).copy(page, offset);
  page.writeUInt16LE(HEADER + entries.length * ENTRY, offset + 16);
  entries.forEach(([guid, content], i) => {
    const at = offset + HEADER + i * ENTRY;
    guidBytes(guid).copy(page, at);
    page.writeUInt16LE(ENTRY, at + 16);
    createHash("sha256")
      .update(content)
      .digest()
      .copy(page, at + 18);
  });
  return page;
}

/** Bytes of the table with its padding to 16. */
export const KERNEL_HASHES_SIZE = Math.ceil((HEADER + 3 * ENTRY) / 16) * 16;

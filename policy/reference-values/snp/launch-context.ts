/**
 * The guest context of the AMD security processor while a guest is launched: a digest that each page extends.
 * Source: SEV Secure Nested Paging Firmware ABI (56860), section 8.17.2, PAGE_INFO (0x70 bytes).
 */
import { createHash } from "node:crypto";

/** PAGE_TYPE_* of the firmware ABI. */
const PAGE_TYPE = { normal: 1, vmsa: 2, zero: 3, unmeasured: 4, secrets: 5, cpuid: 6 } as const;
const PAGE = 4096;
const DIGEST = 48;
const PAGE_INFO = 0x70;
/** Address under which the firmware files a vCPU's state page: all ones, page-aligned, 48 bits. */
const VMSA_GPA = 0xffff_ffff_f000n;
const NOTHING = Buffer.alloc(DIGEST);

export class LaunchContext {
  #digest: Buffer = NOTHING;

  /** 48 bytes: the launch measurement so far. */
  get digest(): Uint8Array {
    return new Uint8Array(this.#digest);
  }

  /** @param bytes whole pages. */
  normal(gpa: number, bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += PAGE) {
      this.#extend(PAGE_TYPE.normal, BigInt(gpa + at), sha384(bytes.subarray(at, at + PAGE)));
    }
  }

  /** @param page the state of a vCPU, one page. */
  vmsa(page: Uint8Array): void {
    this.#extend(PAGE_TYPE.vmsa, VMSA_GPA, sha384(page));
  }

  zero(gpa: number, size: number): void {
    for (let at = 0; at < size; at += PAGE) this.#extend(PAGE_TYPE.zero, BigInt(gpa + at), NOTHING);
  }

  secrets(gpa: number): void {
    this.#extend(PAGE_TYPE.secrets, BigInt(gpa), NOTHING);
  }

  cpuid(gpa: number): void {
    this.#extend(PAGE_TYPE.cpuid, BigInt(gpa), NOTHING);
  }

  /** Permissions of VMPL 1 to 3 and the migration flag are 0, as QEMU launches. */
  #extend(type: number, gpa: bigint, contents: Buffer): void {
    const info = Buffer.alloc(PAGE_INFO);
    this.#digest.copy(info, 0);
    contents.copy(info, DIGEST);
    info.writeUInt16LE(PAGE_INFO, 2 * DIGEST);
    info.writeUInt8(type, 2 * DIGEST + 2);
    info.writeBigUInt64LE(gpa, 2 * DIGEST + 8);
    this.#digest = sha384(info);
  }
}

const sha384 = (bytes: Uint8Array): Buffer => createHash("sha384").update(bytes).digest();

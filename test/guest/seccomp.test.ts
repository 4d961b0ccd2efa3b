/** The program's system call filter, executed as the kernel would (classic BPF, linux/filter.h). */
import { seccompFilter } from "../../guest/isolate/seccomp";

const ALLOW = 0x7fff0000;
const KILL = 0x80000000;
const errno = (n: number) => (0x00050000 | n) >>> 0;
const X64 = 0xc000003e;
const ARM64 = 0xc00000b7;

function decide(filter: Buffer, audit: number, nr: number, arg0 = 0): number {
  const data = Buffer.alloc(64);
  data.writeUInt32LE(nr >>> 0, 0);
  data.writeUInt32LE(audit >>> 0, 4);
  data.writeUInt32LE(arg0 >>> 0, 16);
  let accumulator = 0;
  for (let pc = 0; pc < filter.length / 8; pc++) {
    const at = pc * 8;
    const [code, jt, jf, k] = [
      filter.readUInt16LE(at),
      filter[at + 2] ?? 0,
      filter[at + 3] ?? 0,
      filter.readUInt32LE(at + 4),
    ];
    if (code === 0x20) accumulator = data.readUInt32LE(k);
    else if (code === 0x15) pc += accumulator === k ? jt : jf;
    else if (code === 0x35) pc += accumulator >= k ? jt : jf;
    else if (code === 0x06) return k;
    else throw new Error(`unknown instruction ${code}`);
  }
  throw new Error("the filter has no end");
}

const x64 = seccompFilter("x64") as Buffer;
const arm64 = seccompFilter("arm64") as Buffer;

test.each([
  ["read on x64", x64, X64, 0, 0, ALLOW],
  ["execve on x64", x64, X64, 59, 0, ALLOW],
  ["clone3 on x64", x64, X64, 435, 0, ALLOW],
  ["an internet socket on x64", x64, X64, 41, 2, ALLOW],
  ["a unix socket on arm64", arm64, ARM64, 198, 1, ALLOW],
  ["vsock on x64", x64, X64, 41, 40, errno(97)],
  ["vsock on arm64", arm64, ARM64, 198, 40, errno(97)],
  ["a packet socket", x64, X64, 41, 17, errno(97)],
  ["keyctl", x64, X64, 250, 0, errno(1)],
  ["keyctl on arm64", arm64, ARM64, 219, 0, errno(1)],
  ["mount", x64, X64, 165, 0, errno(1)],
  ["unshare", x64, X64, 272, 0, errno(1)],
  ["io_uring_setup", x64, X64, 425, 0, errno(38)],
  ["io_uring_setup on arm64", arm64, ARM64, 425, 0, errno(38)],
  ["an x32 call", x64, X64, 0x40000000 | 41, 40, errno(38)],
  ["a call of the 32-bit table", x64, 0x40000003, 102, 40, KILL],
  ["an ARM call on x64", x64, ARM64, 198, 2, KILL],
])("%s", (_name, filter, audit, nr, arg0, expected) => {
  expect(decide(filter, audit, nr, arg0)).toBe(expected);
});

test("there is no filter for an architecture without a table, so programs are refused there", () => {
  expect(seccompFilter("riscv64")).toBeUndefined();
  expect(seccompFilter("__proto__")).toBeUndefined();
});

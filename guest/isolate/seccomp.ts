/**
 * A seccomp filter for the program, in classic BPF as the kernel takes it (linux/seccomp.h, linux/filter.h). Namespaces
 * do the isolation; this closes what they leave open: vsock (the host's door into a VM is no network namespace's), kernel
 * keyrings, and interfaces by which sockets could be made unseen. Refusals are EPERM or ENOSYS, so programs can go on.
 */

interface Architecture {
  /** AUDIT_ARCH_*, linux/audit.h. */
  readonly audit: number;
  readonly socket: number;
  readonly denied: readonly number[];
}

// Numbers: arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h. In order: add_key, request_key,
// keyctl, bpf, perf_event_open, userfaultfd, io_uring_setup, io_uring_enter, io_uring_register, kexec_load, init_module,
// finit_module, delete_module, open_by_handle_at, mount, umount2, pivot_root, setns, unshare, process_vm_readv,
// process_vm_writev, move_mount, open_tree, fsopen, fsconfig, fsmount.
const ARCHITECTURES: Readonly<Record<string, Architecture>> = {
  x64: {
    audit: 0xc000003e,
    socket: 41,
    denied: [
      248, 249, 250, 321, 298, 323, 425, 426, 427, 246, 175, 313, 176, 304, 165, 166, 155, 308, 272, 310, 311, 429, 428,
      430, 431, 432,
    ],
  },
  arm64: {
    audit: 0xc00000b7,
    socket: 198,
    denied: [
      217, 218, 219, 280, 241, 282, 425, 426, 427, 104, 105, 273, 106, 265, 40, 39, 41, 268, 97, 270, 271, 429, 428,
      430, 431, 432,
    ],
  },
};

/** AF_UNIX, AF_INET, AF_INET6, AF_NETLINK: each lives in a network namespace, or in the file system. */
const FAMILIES = [1, 2, 10, 16];

// BPF: load word, jump if equal, jump if greater or equal, return.
const LD = 0x20;
const JEQ = 0x15;
const JGE = 0x35;
const RET = 0x06;
const ALLOW = 0x7fff0000;
const ERRNO = 0x00050000;
const KILL_PROCESS = 0x80000000;
const EPERM = 1;
const ENOSYS = 38;
const EAFNOSUPPORT = 97;
// struct seccomp_data: nr at 0, arch at 4, args from 16 (low word first on both architectures).
const NR = 0;
const ARCH = 4;
const ARG0 = 16;
/** x32 calls have this bit and other numbers. */
const X32 = 0x40000000;

type Instruction = readonly [code: number, jt: number, jf: number, k: number];

/** @returns undefined for an architecture without a table; then the program is refused. */
export function seccompFilter(arch: string = process.arch): Buffer | undefined {
  const table = Object.hasOwn(ARCHITECTURES, arch) ? ARCHITECTURES[arch] : undefined;
  if (!table) return undefined;
  const filter: Instruction[] = [
    [LD, 0, 0, ARCH],
    [JEQ, 1, 0, table.audit],
    [RET, 0, 0, KILL_PROCESS],
    [LD, 0, 0, NR],
    [JGE, 0, 1, X32],
    [RET, 0, 0, ERRNO | ENOSYS],
    ...table.denied.flatMap((nr): Instruction[] => [
      [JEQ, 0, 1, nr],
      [RET, 0, 0, ERRNO | (nr >= 425 && nr <= 427 ? ENOSYS : EPERM)],
    ]),
    [JEQ, 1, 0, table.socket],
    [RET, 0, 0, ALLOW],
    [LD, 0, 0, ARG0],
    ...FAMILIES.flatMap((family): Instruction[] => [
      [JEQ, 0, 1, family],
      [RET, 0, 0, ALLOW],
    ]),
    [RET, 0, 0, ERRNO | EAFNOSUPPORT],
  ];
  const bytes = Buffer.alloc(filter.length * 8);
  filter.forEach(([code, jt, jf, k], i) => {
    bytes.writeUInt16LE(code, i * 8);
    bytes.writeUInt8(jt, i * 8 + 2);
    bytes.writeUInt8(jf, i * 8 + 3);
    bytes.writeUInt32LE(k >>> 0, i * 8 + 4);
  });
  return bytes;
}

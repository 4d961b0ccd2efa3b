import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { hasLibraries, sandboxArguments } from "../../guest/isolate/sandbox";
import { OutputTail } from "../../guest/isolate/tail";
import { layoutOf } from "../../guest/layout";
import { LOG_BLOCK, padLog } from "../../guest/log";

test("the tail is the last bytes of what came, however it was cut", () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 60 }),
      fc.integer({ min: 1, max: 50 }),
      (pieces, limit) => {
        const tail = new OutputTail(limit);
        for (const piece of pieces) tail.add(Buffer.from(piece));
        const all = Buffer.concat(pieces);
        expect(tail.bytes.equals(all.subarray(Math.max(0, all.length - limit)))).toBe(true);
        expect(tail.total).toBe(all.length);
      },
    ),
  );
});

test("a million one-byte pieces take no more room than their bytes", () => {
  const tail = new OutputTail(1000);
  for (let i = 0; i < 1_000_000; i++) tail.add(Buffer.from([i % 256]));
  expect(tail.bytes).toHaveLength(1000);
});

test.each([[0], [1], [LOG_BLOCK - 4], [LOG_BLOCK - 3], [3 * LOG_BLOCK]])(
  "a log of %d bytes is padded to whole blocks",
  (size) => {
    const padded = Buffer.from(padLog(new Uint8Array(size).fill(120)));
    expect(padded.length % LOG_BLOCK).toBe(0);
    expect(padded.length - size - 4).toBeLessThan(LOG_BLOCK);
    expect(padded.readUInt32BE(0)).toBe(size);
    expect(padded.subarray(4 + size).every((byte) => byte === 0)).toBe(true);
  },
);

describe("the sandbox", () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "sandbox-"));
    for (const folder of ["app", "usr/bin", "proc", "run", "sys", "sealflow/lib", "sealflow-owner"]) {
      mkdirSync(join(root, folder), { recursive: true });
    }
    symlinkSync("usr/bin", join(root, "bin"));
    writeFileSync(join(root, "file"), "");
    for (const file of ["libc.so.6", "ld.so"]) writeFileSync(join(root, "sealflow/lib", file), "");
  });
  afterEach(() => rmSync(root, { recursive: true }));
  const args = (means: "capability" | "userns", network = false) =>
    sandboxArguments({ layout: layoutOf(join(root, "sealflow/runner.js")), means, network });

  test("shows the image read-only, and nothing of the machine, the runner or its owner key", () => {
    const text = args("capability").join(" ");
    expect(text).toContain(`--ro-bind ${root}/app /app`);
    expect(text).toContain(`--ro-bind ${root}/file /file`);
    expect(text).toContain("--symlink usr/bin /bin");
    for (const hidden of ["proc", "run", "sys", "sealflow-owner"]) expect(text).not.toContain(`${root}/${hidden} `);
    expect(text).not.toContain("runner.js");
    expect(text.match(/--bind /g)).toHaveLength(1);
    expect(text).toContain(`--bind ${root}/sealflow/scratch/out /sealflow/out`);
  });
  test("has no network and no capability but the two that the launcher gives up", () => {
    expect(args("capability")).toEqual(expect.arrayContaining(["--unshare-net", "--unshare-pid", "--die-with-parent"]));
    expect(args("capability").filter((_, i, all) => all[i - 1] === "--cap-add")).toEqual(["CAP_SETUID", "CAP_SETGID"]);
    expect(args("userns")).not.toContain("--cap-add");
    expect(args("userns")).toEqual(expect.arrayContaining(["--unshare-user", "65532"]));
    expect(args("capability", true)).not.toContain("--unshare-net");
  });
  test("lends libraries only to an image that has none", () => {
    expect(args("capability").join(" ")).not.toContain("/lib/libc.so.6");
    rmSync(join(root, "usr"), { recursive: true });
    rmSync(join(root, "bin"));
    expect(args("capability").join(" ")).toContain("--symlink /sealflow/lib/libc.so.6 /lib/libc.so.6");
    expect([hasLibraries(["app"]), hasLibraries(["lib"]), hasLibraries(["usr"])]).toEqual([false, true, true]);
  });
});

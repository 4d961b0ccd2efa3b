/** The checks on hosts, run by a real shell on copies of the kernel's files. */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { preflightScript } from "../../../components/baremetal/preflight-script";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(path.join(tmpdir(), "sealflow-preflight-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const GOOD: Readonly<Record<string, string>> = {
  "proc/sys/kernel/osrelease": "6.17.0-12-generic\n",
  "proc/cpuinfo": "flags\t: fpu vme sev_snp tdx_host_platform\n",
  "sys/module/kvm_amd/parameters/sev_snp": "Y\n",
  "sys/module/kvm_intel/parameters/tdx": "Y\n",
  "sys/class/misc/kvm/dev": "10:232\n",
  "sys/bus/pci/devices/0000:01:00.0/vendor": "0x10de\n",
  "sys/bus/pci/devices/0000:01:00.0/class": "0x030200\n",
  "sys/bus/pci/drivers/vfio-pci/new_id": "",
};

function check(choice: { tee: "snp" | "tdx"; nvidia: boolean }, change: Readonly<Record<string, string | null>> = {}) {
  for (const [file, text] of Object.entries({ ...GOOD, ...change })) {
    if (text === null) continue;
    mkdirSync(path.dirname(path.join(dir, file)), { recursive: true });
    writeFileSync(path.join(dir, file), text);
  }
  const log = path.join(dir, "log");
  writeFileSync(log, "");
  const env = {
    PATH: process.env.PATH,
    SYS: path.join(dir, "sys"),
    PROC: path.join(dir, "proc"),
    TERMINATION_LOG: log,
  };
  const { status } = spawnSync("sh", ["-c", preflightScript(choice)], { env, encoding: "utf8" });
  return { status, problems: readFileSync(log, "utf8").split("\n").filter(Boolean) };
}

test.each(["snp", "tdx"] as const)("a good host with %s passes, with and without GPUs", (tee) => {
  expect(check({ tee, nvidia: false })).toEqual({ status: 0, problems: [] });
  expect(check({ tee, nvidia: true })).toEqual({ status: 0, problems: [] });
});

const KVM = "sys/class/misc/kvm/dev";
test.each([
  ["an old kernel", "snp", { "proc/sys/kernel/osrelease": "6.8.0-45-generic" }, /6\.8\.0.*needed is 6\.16\.1/],
  [
    "a kernel that sorts after as text",
    "snp",
    { "proc/sys/kernel/osrelease": "6.9.12" },
    /6\.9\.12.*needed is 6\.16\.1/,
  ],
  ["a kernel that is enough for SNP, not for TDX", "tdx", { "proc/sys/kernel/osrelease": "6.16.5" }, /needed is 6\.17/],
  ["a processor without SNP", "snp", { "proc/cpuinfo": "flags : sev sev_es" }, /shows no sev_snp; switch/],
  ["SNP off in the module", "snp", { "sys/module/kvm_amd/parameters/sev_snp": "N" }, /sev_snp is N; switch/],
  ["TDX without its module", "tdx", { "sys/module/kvm_intel/parameters/tdx": null }, /tdx is missing; switch/],
  ["no KVM", "snp", { [KVM]: null }, /no KVM; load/],
] as const)("%s fails and says what to do", (_what, tee, change, remedy) => {
  const { status, problems } = check({ tee, nvidia: false }, change);
  expect(status).toBe(1);
  expect(problems).toHaveLength(1);
  expect(problems[0]).toMatch(remedy);
});

test("a network card of NVIDIA is no GPU, and every problem is told", () => {
  const change = { "sys/bus/pci/devices/0000:01:00.0/class": "0x020000", [KVM]: null };
  const { status, problems } = check({ tee: "snp", nvidia: true }, change);
  expect(status).toBe(1);
  expect(problems.join("\n")).toMatch(/no KVM[\s\S]*no NVIDIA GPU/);
});

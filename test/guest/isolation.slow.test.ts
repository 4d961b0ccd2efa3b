/** Which way of isolation works in which container: tried in containers with the masks and capabilities of containerd. */
import { spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildSync } from "esbuild";
import { RUNNER_ARGV, RUNNER_CAPABILITIES } from "../../policy/agent/text";
import { cannotRunGuests, unpackedRunnerLayer } from "./support/runner-layer";

/** What containerd gives by default, cri pkg/cri/opts and oci defaultUnixCaps. */
const CONTAINERD_CAPABILITIES = [
  "CAP_CHOWN",
  "CAP_DAC_OVERRIDE",
  "CAP_FSETID",
  "CAP_FOWNER",
  "CAP_MKNOD",
  "CAP_NET_RAW",
  "CAP_SETGID",
  "CAP_SETUID",
  "CAP_SETFCAP",
  "CAP_SETPCAP",
  "CAP_NET_BIND_SERVICE",
  "CAP_SYS_CHROOT",
  "CAP_KILL",
  "CAP_AUDIT_WRITE",
];
/** What this kernel has of the paths that containerd covers. */
const MASKS = [
  ...["/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/latency_stats"]
    .filter((path) => existsSync(path))
    .flatMap((path) => ["--ro-bind", "/dev/null", path]),
  ...["/proc/sys", "/proc/irq", "/proc/bus"].flatMap((path) => ["--ro-bind-try", path, path]),
];
/** bubblewrap's own /proc has covers, too; a plain one is that of this machine. */
const MASKED = ["--unshare-pid", "--proc", "/proc", ...MASKS];
const PLAIN = ["--bind", "/proc", "/proc"];

const isRoot = process.getuid?.() === 0;
const reason = cannotRunGuests() ?? (isRoot ? undefined : "needs root");
(reason ? describe.skip : describe)(`findMeans${reason ? ` (${reason})` : ""}`, () => {
  let root: string;
  let layer: string;
  beforeAll(async () => {
    layer = join(await unpackedRunnerLayer(), "sealflow");
    root = mkdtempSync(join(tmpdir(), "isolation-"));
    chmodSync(root, 0o755);
    for (const folder of ["proc", "dev", "tmp", "sealflow/scratch/in", "sealflow/scratch/out"]) {
      mkdirSync(join(root, folder), { recursive: true });
    }
    buildSync({
      stdin: {
        contents: `import { findMeans } from "./guest/isolate/program"; import { layoutOf } from "./guest/layout";
          import { writeFileSync } from "node:fs";
          writeFileSync("/sealflow/scratch/params.json", "{}");
          findMeans(layoutOf("/sealflow/runner.js")).then((means) => console.log(means ?? "none"));`,
        resolveDir: join(__dirname, "..", ".."),
      },
      outfile: join(root, "sealflow", "ask.js"),
      bundle: true,
      platform: "node",
      target: "node24",
    });
    copyFileSync(join(layer, "runner.js"), join(root, "sealflow", "runner.js"));
  });
  afterAll(() => rmSync(root, { recursive: true, force: true }));

  /** @param uid the runner's; a number: in a user namespace that has this one only */
  const ask = (capabilities: readonly string[], proc: readonly string[], uid: number | "root"): string => {
    const view = [
      ...["--bind", root, "/", ...proc, "--dev", "/dev", "--tmpfs", "/tmp"],
      ...["--ro-bind", join(layer, "bin"), "/sealflow/bin", "--ro-bind", join(layer, "lib"), "/sealflow/lib"],
      ...["--perms", "0777", "--tmpfs", "/sealflow/scratch", "--perms", "0755", "--dir", "/sealflow/scratch/in"],
      ...["--perms", "0777", "--dir", "/sealflow/scratch/out", "--cap-drop", "ALL"],
      ...capabilities.flatMap((name) => ["--cap-add", name]),
    ];
    const user = uid === "root" ? [] : ["--unshare-user", "--uid", String(uid), "--gid", String(uid)];
    const argv = [...RUNNER_ARGV.slice(0, -1), "/sealflow/ask.js"];
    const bwrap = [join(layer, "bin", "bwrap"), ...user, ...view, "--", ...argv];
    const { stdout, stderr } = spawnSync(
      join(layer, "lib", "ld.so"),
      ["--library-path", join(layer, "lib"), ...bwrap],
      {
        env: { PATH: "/bin" },
        encoding: "utf8",
        timeout: 60_000,
      },
    );
    return stdout.trim() || stderr;
  };

  test.each<[string, readonly string[], readonly string[], number | "root", string]>([
    ["the runner's capabilities, masked /proc", RUNNER_CAPABILITIES, MASKED, "root", "capability"],
    ["the runner's capabilities, plain /proc", RUNNER_CAPABILITIES, PLAIN, "root", "capability"],
    ["containerd's capabilities, masked /proc: the trap", CONTAINERD_CAPABILITIES, MASKED, "root", "none"],
    ["containerd's capabilities, plain /proc", CONTAINERD_CAPABILITIES, PLAIN, "root", "userns"],
    ["no capability and another uid, plain /proc", [], PLAIN, 1000, "userns-same-uid"],
    ["no capability and another uid, masked /proc", [], MASKED, 1000, "none"],
    ["an ordinary user's guest, masked /proc", RUNNER_CAPABILITIES, MASKED, 0, "capability-same-uid"],
    ["an ordinary user's guest without capabilities, masked /proc", [], MASKED, 0, "none"],
  ])(
    "%s",
    (_what, capabilities, proc, uid, expected) => {
      expect(ask(capabilities, proc, uid)).toBe(expected);
    },
    90_000,
  );
});

/** The runner layer, made from the real pinned inputs and run in an empty root. */
import { execFile, execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { promisify } from "node:util";
import { ensureRunnerLayer, type RunnerLayer } from "../../owner/runner-layer";
import { type Lock, lock } from "../../owner/runner-layer/inputs";

const has = (tool: string) => spawnSync(tool, ["--version"]).status === 0;
const withApt = has("apt-get") && has("dpkg-deb") ? describe : describe.skip;
const inNamespace = spawnSync("unshare", ["-rm", "true"]).status === 0 ? test : test.skip;
const MINUTES = 60_000;

const work = mkdtempSync(join(tmpdir(), "sealflow-runner-layer-"));
const runnerJs = join(work, "runner.js");
const cacheDir = join(work, "cache");
writeFileSync(runnerJs, "console.log('the runner of this test');\n");
afterAll(() => rmSync(work, { recursive: true, force: true }));

/** The lock with another bubblewrap. */
function otherBubblewrap(change: { version?: string; sha256?: string }): Lock {
  const copy = structuredClone(lock());
  const [bubblewrap] = copy.architectures.x64?.debian.packages.filter(({ name }) => name === "bubblewrap") ?? [];
  Object.assign(bubblewrap as object, change);
  return copy;
}

/** A version that no Debian release serves any more. */
const gone = otherBubblewrap({ version: "0.7.0-1", sha256: "0".repeat(64) });

withApt("the runner layer", () => {
  let layer: RunnerLayer;
  const root = join(work, "root");

  beforeAll(async () => {
    layer = await ensureRunnerLayer({ cacheDir, runnerJs });
    for (const folder of ["", "proc", "tmp"]) mkdirSync(join(root, folder));
    execFileSync("tar", ["xf", layer.path, "-C", root]);
  }, 10 * MINUTES);

  test("has the pinned bytes, and says so", () => {
    const bytes = readFileSync(layer.path);
    const digest = createHash("sha256").update(bytes).digest("hex");
    // Changes only with the lock, the tar format or the trimming: a new runner layer is a new identity of every step.
    expect(digest).toBe("883661734634227859376fa472db952f617c022a4e821c3b0679d8bbecea31f9");
    expect(layer).toEqual({
      path: layer.path,
      digest,
      diffId: `sha256:${digest}`,
      size: bytes.length,
      version: "24.21.0-5165da3501bd1a0d",
    });
  });

  /** In user and mount namespaces with `/proc`, as a container has it, and an empty `/tmp`; bubblewrap needs both. */
  const inside = (program: string, ...args: string[]) => {
    const loader = ["/sealflow/lib/ld.so", "--library-path", "/sealflow/lib", `/sealflow/bin/${program}`];
    // A real change of root: bubblewrap refuses to work below a chroot. The old root ends up in /tmp/old.
    const mounts = 'mount --rbind "$0" "$0" && mount --rbind /proc "$0/proc"';
    const enter = `${mounts} && cd "$0" && mkdir -p tmp/old && pivot_root . tmp/old && exec "$@"`;
    return execFileSync("unshare", ["-rm", "sh", "-c", enter, root, ...loader, ...args], { encoding: "utf8" });
  };

  inNamespace("starts Node in a root that has nothing else", () => {
    const code =
      "console.log(process.version, require('node:fs').readdirSync('/').sort().join(), Intl.DateTimeFormat().resolvedOptions().locale)";
    expect(inside("node", "-e", code)).toBe("v24.21.0 proc,sealflow,tmp en-US\n");
    expect(inside("node", "/sealflow/runner.js")).toBe("the runner of this test\n");
  });

  inNamespace("starts a program under bubblewrap in a root that has nothing else", () => {
    const loader = ["/sealflow/lib/ld.so", "--library-path", "/sealflow/lib", "/sealflow/bin/node"];
    const bind = ["--unshare-all", "--ro-bind", "/sealflow", "/sealflow"];
    expect(inside("bwrap", ...bind, ...loader, "-p", "[process.pid, ...fs.readdirSync('/')].join()")).toBe(
      "2,sealflow\n",
    );
  });

  test(
    "is taken from the cache, and made again when its file was changed",
    async () => {
      const messages: string[] = [];
      const again = () => inOtherProcess(cacheDir, {});
      expect(await again()).toEqual({ layer, messages: [] });
      const size = statSync(layer.path).size;
      chmodSync(layer.path, 0o600);
      writeFileSync(layer.path, Buffer.alloc(size));
      // A folder that says of itself what it holds proves nothing.
      const facts = join(dirname(layer.path), "layer.json");
      const said = JSON.parse(readFileSync(facts, "utf8"));
      const digest = createHash("sha256").update(Buffer.alloc(size)).digest("hex");
      writeFileSync(facts, JSON.stringify({ ...said, digest, version: `${said.version}-unpinned` }));
      const repaired = await again();
      expect(repaired.layer).toEqual(layer);
      expect(repaired.messages[0]).toMatch(/is damaged or another; making it again/);
      expect(messages).toEqual([]);
    },
    10 * MINUTES,
  );

  test("finds files where newer releases have moved them", async () => {
    const moved = structuredClone(lock());
    for (const { files } of moved.architectures.x64?.debian.packages ?? []) {
      const moving = files as Record<string, string>;
      for (const [to, from] of Object.entries(files)) {
        moving[to] = from.startsWith("usr/lib/") ? from.slice(4) : from.startsWith("lib/") ? `usr/${from}` : from;
      }
    }
    expect(moved).not.toEqual(lock());
    expect((await ensureRunnerLayer({ cacheDir, runnerJs, lock: moved })).digest).toBe(layer.digest);
  });

  test("of another runner needs no apt: the packages are kept", async () => {
    const other = join(work, "other-runner.js");
    writeFileSync(other, "console.log('another runner');\n");
    const bin = join(work, "bin");
    mkdirSync(bin);
    symlinkSync(execFileSync("which", ["dpkg-deb"], { encoding: "utf8" }).trim(), join(bin, "dpkg-deb"));
    for (const tool of ["tar", "xz", "rm", "zstd", "gzip"]) {
      const found = spawnSync("which", [tool], { encoding: "utf8" }).stdout.trim();
      if (found) symlinkSync(found, join(bin, tool)); // dpkg-deb calls some of them
    }
    const made = await ensureRunnerLayer({ cacheDir, runnerJs: other, env: { PATH: bin } });
    expect(made.digest).not.toBe(layer.digest);
    expect(made.version).toMatch(/^24\.21\.0-[0-9a-f]{16}$/);
  });

  test("is made again by a running process when the cache was emptied", async () => {
    const emptied = join(work, "emptied");
    const first = await ensureRunnerLayer({ cacheDir: emptied, runnerJs });
    rmSync(emptied, { recursive: true });
    const both = await Promise.all([1, 2].map(() => ensureRunnerLayer({ cacheDir: emptied, runnerJs })));
    expect(both).toEqual([first, first]);
    expect(statSync(first.path).size).toBe(first.size);
  }, 600_000);

  test("that nobody used for an hour makes room for new ones; leftovers of interrupted processes go", async () => {
    const full = join(work, "full");
    const folder = join(full, "runner-layer");
    const names = Array.from({ length: 7 }, (_, i) => `${i}`.repeat(32));
    const leftovers = [".1.aa.making", ".2.bb.making"];
    for (const [i, name] of [...names, ...leftovers].entries()) {
      const facts = join(folder, name, "layer.json");
      mkdirSync(join(folder, name), { recursive: true });
      writeFileSync(facts, "{}");
      const used = Date.now() / 1000 - (name === names[6] || name === leftovers[1] ? 60 : 7200 + i);
      utimesSync(facts, used, used);
      utimesSync(join(folder, name), used, used);
    }
    const { path } = await ensureRunnerLayer({ cacheDir: full, runnerJs });
    const left = readdirSync(folder).filter((name) => name !== basename(dirname(path)));
    expect(left.sort()).toEqual([".2.bb.making", names[0], names[1], names[6], "packages"]);
  }, 600_000);

  test(
    "is made once and whole by three processes at the same time",
    async () => {
      const shared = join(work, "shared");
      const made = await Promise.all([1, 2, 3].map(() => inOtherProcess(shared, {})));
      expect(new Set(made.map(({ layer }) => layer.digest))).toEqual(new Set([layer.digest]));
      expect(readdirSync(join(shared, "runner-layer")).sort()).toEqual([basename(dirname(layer.path)), "packages"]);
    },
    10 * MINUTES,
  );

  test(
    "has the same bytes where apt has no package lists, without touching the system",
    async () => {
      const config = join(work, "apt.conf");
      const lists = join(work, "lists");
      mkdirSync(join(lists, "partial"), { recursive: true });
      writeFileSync(config, `Dir::State::Lists "${lists}";\n`);
      const { layer: other, messages } = await inOtherProcess(join(work, "no-lists"), { APT_CONFIG: config });
      expect(other.digest).toBe(layer.digest);
      expect(messages).toContain("fetching package lists into a private folder");
      expect(readdirSync(lists)).toEqual(["partial"]);
    },
    10 * MINUTES,
  );

  const asRoot = process.getuid?.() === 0 ? test : test.skip; // else the other tests show it
  asRoot(
    "has the same bytes when a normal user makes it, without package lists",
    async () => {
      const config = join(work, "user-apt.conf");
      writeFileSync(config, `Dir::State::Lists "${join(work, "user-lists")}";\n`);
      chmodSync(work, 0o777);
      const { layer: other } = await inOtherProcess(join(work, "user"), { APT_CONFIG: config }, 65534);
      expect(other.digest).toBe(layer.digest);
    },
    10 * MINUTES,
  );

  test(
    "a pinned version that is gone is an error with what is wanted, what is offered and the remedy",
    async () => {
      const options = { cacheDir, runnerJs, lock: gone };
      await expect(ensureRunnerLayer(options)).rejects.toMatchObject({
        code: "APT_VERSION",
        message: expect.stringMatching(
          /bubblewrap: wanted 0\.7\.0-1, offered 0\.8\.0-\S+\..*SEALFLOW_RUNNER_LAYER_UNPINNED="<reason>"/,
        ),
      });
      expect(readdirSync(join(cacheDir, "runner-layer")).filter((name) => name.endsWith(".making"))).toEqual([]);
    },
    10 * MINUTES,
  );

  test(
    "with a reason, what is offered is taken, loudly, as another version",
    async () => {
      const messages: string[] = [];
      const env = { ...process.env, SEALFLOW_RUNNER_LAYER_UNPINNED: "a test" };
      const onProgress = (message: string) => void messages.push(message);
      const other = await ensureRunnerLayer({ cacheDir, runnerJs, lock: gone, env, onProgress });
      expect(other.version).toMatch(/^24\.21\.0-[0-9a-f]{16}-unpinned$/);
      expect(messages).toContainEqual(expect.stringMatching(/^warning: .*\(a test\): bubblewrap: wanted 0\.7\.0-1/));
    },
    10 * MINUTES,
  );

  test(
    "a package with other bytes is refused",
    async () => {
      const changed = otherBubblewrap({ sha256: "0".repeat(64) });
      const fresh = join(work, "changed");
      await expect(ensureRunnerLayer({ cacheDir: fresh, runnerJs, lock: changed })).rejects.toMatchObject({
        code: "HASH",
      });
    },
    10 * MINUTES,
  );
});

interface Made {
  readonly layer: RunnerLayer;
  readonly messages: string[];
}

/** Makes the layer in a fresh process, so that nothing is remembered. */
async function inOtherProcess(cacheDir: string, env: NodeJS.ProcessEnv, uid?: number): Promise<Made> {
  const code = `
    const { ensureRunnerLayer } = require("./owner/runner-layer/index.ts");
    const messages = [];
    ensureRunnerLayer({ ...JSON.parse(process.argv[1]), onProgress: (m) => void messages.push(m) })
      .then((layer) => console.log(JSON.stringify({ layer, messages })));`;
  const args = ["--require", "./test/support/typescript.js", "-e", code, JSON.stringify({ cacheDir, runnerJs })];
  const cwd = join(__dirname, "../..");
  const user = uid === undefined ? {} : { uid, gid: uid };
  const { stdout } = await promisify(execFile)(process.execPath, args, {
    cwd,
    env: { ...process.env, ...env },
    ...user,
  });
  return JSON.parse(stdout) as Made;
}

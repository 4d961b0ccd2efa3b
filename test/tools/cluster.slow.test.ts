import { execFileSync, spawn, spawnSync } from "node:child_process";
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { startTime } from "../../relying-party/dev/process";
import { clusterMissing, startCluster } from "../../tools/cluster";
import { ensureBinaries } from "../../tools/cluster/binaries";
import { endNode } from "../../tools/cluster/node";
import { kubernetesProviderEnvironment } from "../../tools/kubernetes-provider";
import { cannotRunGuests } from "../guest/support/runner-layer";
import { ok, sealflow } from "../support/cli";
import { createFan } from "../support/fan";
import type { Project } from "../support/project";

const CHECKOUT = resolve(__dirname, "../..");
const missing = clusterMissing();
const suite = missing ? describe.skip : describe;
if (missing) console.log(`skipped: test cluster: ${missing}`);

/** Command lines of processes that work in a folder. */
function processesOf(dir: string): string[] {
  return readdirSync("/proc").flatMap((pid) => {
    try {
      const line = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
      const works = line.includes(dir) || readlinkSync(`/proc/${pid}/cwd`).startsWith(dir);
      return /^\d+$/.test(pid) && works ? [line.slice(0, 200)] : [];
    } catch {
      return [];
    }
  });
}

async function until(what: () => boolean, seconds = 30): Promise<void> {
  for (let n = 0; !what() && n < seconds * 10; n++) await sleep(100);
}

describe("a machine with neither programs nor Go", () => {
  it("is told what to install, and nothing is built", () => {
    const cache = mkdtempSync(join(tmpdir(), "sf-empty-"));
    try {
      const why = clusterMissing({}, { SEALFLOW_CACHE: cache, PATH: "/nonexistent" });
      // Go at its usual place counts as installed.
      if (existsSync("/usr/local/go/bin/go")) expect(why).toBeUndefined();
      else expect(why).toMatch(/install Go .* or set KUBEBUILDER_ASSETS/);
      expect(readdirSync(cache)).toEqual([]);
    } finally {
      rmSync(cache, { recursive: true });
    }
  });

  it("uses the programs of KUBEBUILDER_ASSETS", async () => {
    const assets = mkdtempSync(join(tmpdir(), "sf-assets-"));
    const env = { SEALFLOW_CACHE: join(assets, "cache"), KUBEBUILDER_ASSETS: assets, PATH: "/nonexistent" };
    const names = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl"] as const;
    try {
      for (const name of names) execFileSync("touch", [join(assets, name)]);
      expect(clusterMissing({}, env)).toBeUndefined();
      const { programs } = await ensureBinaries({ env });
      expect(programs).toEqual(Object.fromEntries(names.map((name) => [name, join(assets, name)])));
    } finally {
      rmSync(assets, { recursive: true });
    }
  });
});

/** `npm run cluster` as a person calls it, for a project in another folder. */
function command(project: string, ...args: string[]) {
  const main = join(CHECKOUT, "dist/tools/cluster/main.js");
  return spawnSync(process.execPath, [main, ...args, "--project", project], { encoding: "utf8" });
}

const missingForPeople = clusterMissing({ argo: true }) ?? cannotRunGuests();
if (missingForPeople) console.log(`skipped: npm run cluster -- up --node: ${missingForPeople}`);

(missingForPeople ? describe.skip : describe)("npm run cluster -- up --node", () => {
  let project: Project;
  beforeAll(() => {
    project = createFan(1, 10);
  });
  afterAll(async () => {
    command(project.dir, "down");
    await sealflow(project, ["dev", "--stop"]);
    project.remove();
  }, 60_000);

  it("without a relying party says how to start one, and starts nothing", () => {
    const { status, stderr } = command(project.dir, "up", "--node");
    expect(status).toBe(1);
    expect(stderr).toMatch(/connection\.json is missing.*npx sealflow dev --detach/);
    expect(existsSync(join(project.home, "cluster"))).toBe(false);
  });

  it("says so, too, of a relying party that has ended, and starts nothing", async () => {
    await ok(project, ["dev", "--detach"]);
    await ok(project, ["dev", "--stop"]);
    const { status, stderr } = command(project.dir, "up", "--node");
    expect([status, stderr]).toEqual([1, expect.stringMatching(/no relying party.*npx sealflow dev --detach/)]);
    expect(existsSync(join(project.home, "cluster"))).toBe(false);
  }, 60_000);

  it("lets a person deploy a pipeline and run it through Argo, and leaves nothing behind", async () => {
    await ok(project, ["dev", "--detach"]);
    const up = command(project.dir, "up", "--node");
    expect([up.status, up.stderr]).toEqual([0, expect.stringMatching(/ready after/)]);
    const [, kubeconfig = ""] = /^export KUBECONFIG=(.+)$/m.exec(up.stdout) ?? [];
    const [, kubectl = ""] = /^kubectl: (.+)$/m.exec(up.stdout) ?? [];
    const env = { ...kubernetesProviderEnvironment(), KUBECONFIG: kubeconfig };
    const wait = ["--cache-dir", join(project.home, "kubectl"), "wait", "--for=condition=Ready", "node", "--all"];
    const nodes = spawnSync(kubectl, wait, { encoding: "utf8", env });
    expect(nodes.stdout).toMatch(/sealflow-node condition met/);

    await ok(project, ["up", "--stack", "kubernetes"], env);
    const run = JSON.parse((await ok(project, ["run", "--json"], env)).stdout);
    expect(run).toMatchObject({ state: "succeeded" });

    const state = () => JSON.parse(project.read(".sealflow/cluster/cluster.json"));
    const first = state().node.pid;
    process.kill(first, "SIGKILL");
    await until(() => /has ended/.test(command(project.dir, "status").stdout));

    // One that cannot start ends the command, and nothing of it stays.
    const own = join(project.home, "cluster/node.kubeconfig");
    const whole = readFileSync(own, "utf8");
    writeFileSync(own, "clusters: [");
    const started = Date.now();
    const damaged = command(project.dir, "up", "--node");
    expect([damaged.status, damaged.stderr]).toEqual([1, expect.stringMatching(/the node ended with code 1/)]);
    expect(Date.now() - started).toBeLessThan(20_000);
    expect(processesOf(join(project.home, "cluster")).filter((line) => line.includes("untrusted/node"))).toEqual([]);
    writeFileSync(own, whole);

    expect(command(project.dir, "up", "--node").stdout).toMatch(/node: runs/);
    const { pid, node } = state();
    expect(node.pid).not.toBe(first);

    expect(command(project.dir, "down").stderr).toMatch(/nothing of it is left/);
    expect(existsSync(join(project.home, "cluster"))).toBe(false);
    for (const left of [pid, node.pid]) expect(startTime(left)).toBeUndefined();
    expect(processesOf(join(project.home, "cluster"))).toEqual([]);
  }, 300_000);
});

describe("a node that does not end", () => {
  it("is ended after its grace, so that the cluster can be", async () => {
    const program = "process.on('SIGTERM', () => undefined); setInterval(() => undefined, 1000); console.log()";
    const child = spawn(process.execPath, ["-e", program], { stdio: ["ignore", "pipe", "inherit"] });
    await new Promise((resolve) => child.stdout.once("data", resolve));
    const pid = child.pid as number;
    await endNode({ pid, started: startTime(pid) }, 300);
    expect(startTime(pid)).toBeUndefined();
  }, 60_000);
});

suite("clusters", () => {
  it("several at once, each with its own files, rights that are enforced, parts that come back, and nothing left", async () => {
    const clusters = await Promise.all([startCluster(), startCluster()]);
    try {
      const [one, two] = clusters;
      expect(one.url).not.toBe(two.url);
      const kubectl = (kubeconfig: string, ...args: string[]) =>
        spawnSync(one.kubectl, ["--kubeconfig", kubeconfig, ...args], { encoding: "utf8" });
      expect(kubectl(one.kubeconfig, "create", "namespace", "mine").status).toBe(0);
      expect(kubectl(two.kubeconfig, "get", "namespace", "mine").stderr).toContain("NotFound");
      // The token of one cluster opens nothing in the other one.
      expect(kubectl(one.kubeconfig, "--server", two.url, "get", "namespaces").status).not.toBe(0);
      // A node reads no secrets but those of its own pods.
      expect(kubectl(one.kubeconfigOf("node"), "get", "secrets", "-A").stderr).toContain("Forbidden");

      const files = readdirSync(one.dir, { recursive: true, withFileTypes: true }).filter(
        (entry) => entry.isFile() && !entry.parentPath.startsWith(join(one.dir, "etcd")),
      );
      const open = files.map((file) => join(file.parentPath, file.name)).filter((file) => statSync(file).mode & 0o077);
      expect(open.filter((file) => !file.includes("/certs/kube-"))).toEqual([]);
      expect(statSync(one.dir).mode & 0o077).toBe(0);

      await one.kill("kube-apiserver");
      expect(kubectl(one.kubeconfig, "get", "namespaces").status).not.toBe(0);
      await one.start("kube-apiserver");
      expect(kubectl(one.kubeconfig, "get", "namespace", "mine").status).toBe(0);
    } finally {
      await Promise.all(clusters.map((cluster) => cluster.stop()));
    }
    for (const { dir } of clusters) {
      expect(existsSync(dir)).toBe(false);
      expect(processesOf(dir)).toEqual([]);
    }
  }, 240_000);

  it("ends with a test that is killed", async () => {
    const program = `require(${JSON.stringify(join(CHECKOUT, "dist/tools/cluster"))}).startCluster().then((c) => console.log(c.dir))`;
    const child = spawn(process.execPath, ["-e", program], { stdio: ["ignore", "pipe", "inherit"] });
    const [dir] = await new Promise<string[]>((resolve) => {
      createInterface({ input: child.stdout }).once("line", (line) => resolve([line]));
    });
    if (dir === undefined) throw new Error("no folder");
    expect(processesOf(dir).length).toBeGreaterThan(3);
    child.kill("SIGKILL");
    await until(() => !existsSync(dir));
    expect(processesOf(dir)).toEqual([]);
    expect(existsSync(dir)).toBe(false);
  }, 120_000);
});

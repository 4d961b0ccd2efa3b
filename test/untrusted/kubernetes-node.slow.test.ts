/** The simulated node of a real cluster: what somebody with the API server's power can make of a step's Job. */
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { KubernetesJob } from "../../policy";
import { KbsAdmin } from "../../relying-party/kbs-client";
import { type Cluster, clusterMissing, NODE_NAME, nodeTlsOf, startCluster } from "../../tools/cluster";
import { type KubernetesNode, startKubernetesNode } from "../../untrusted/node/kubernetes";
import { type Deployed, deploy } from "../guest/support/deployed";
import { cannotRunGuests } from "../guest/support/runner-layer";
import { devAdminTokens } from "../support/admin-key";

const reason = clusterMissing() ?? cannotRunGuests();
if (reason) console.log(`skipped: simulated node in a cluster: ${reason}`);

type Json = Record<string, unknown>;
const first = (spec: { containers: Json[] }): Json => spec.containers[0] as Json;
interface Ended {
  readonly phase: string;
  readonly reason?: string;
  readonly containers: Readonly<Record<string, { exitCode: number; reason: string; message?: string }>>;
}

(reason ? describe.skip : describe)("a simulated node in a real cluster", () => {
  let cluster: Cluster;
  let d: Deployed;
  let node: KubernetesNode;
  const errors: string[] = [];
  // Not synchronously: the node runs in this process.
  const kubectl = (...args: string[]): Promise<string> => kubectlWith("", ...args);
  function kubectlWith(input: string, ...args: string[]): Promise<string> {
    return new Promise((resolve, reject) => {
      const all = ["--kubeconfig", cluster.kubeconfig, ...args];
      const child = execFile(cluster.kubectl, all, { encoding: "utf8" }, (error, stdout, stderr) =>
        error ? reject(new Error(`kubectl ${args.join(" ")}: ${stderr}`)) : resolve(stdout),
      );
      child.stdin?.end(input);
    });
  }
  const apply = (object: unknown): Promise<string> =>
    kubectlWith(JSON.stringify(object), "apply", "--validate=strict", "-f", "-");

  beforeAll(async () => {
    const step = {
      files: { "main.js": `require("fs").writeFileSync("/sealflow/out/a", "{}")` },
      outputs: { a: { format: "json" as const } },
      limits: { retryLimit: 9 },
    };
    [d, cluster] = await Promise.all([deploy({ steps: { good: step } }), startCluster()]);
    node = await startKubernetesNode({
      kubeconfig: readFileSync(cluster.kubeconfigOf("node"), "utf8"),
      name: NODE_NAME,
      home: d.home,
      connection: d.connection,
      programs: { "host:node": { bin: dirname(process.execPath) }, "host:files": { files: join(d.home, "files") } },
      tls: nodeTlsOf(cluster),
      onError: (message) => errors.push(message),
    });
    for (const name of ["sealflow-simulated", "kata-qemu-snp", "gvisor"]) {
      await apply({ apiVersion: "node.k8s.io/v1", kind: "RuntimeClass", metadata: { name }, handler: name });
    }
  }, 180_000);
  afterAll(async () => {
    await node?.stop();
    await cluster?.stop();
    await d?.close();
  }, 60_000);

  let count = 0;
  /** Applies the step's Job with a change and waits until its pod has ended. */
  async function run(change: (spec: Json & { containers: Json[] }, template: Json) => void = () => {}, hint?: string) {
    const job = structuredClone(d.jobs.good) as unknown as KubernetesJob;
    const name = `job-${++count}`;
    const template = job.spec.template as unknown as Json & { spec: Json & { containers: Json[] } };
    if (hint) (first(template.spec).env as Json[]).push({ name: "SEALFLOW_RUN", value: hint });
    change(template.spec, template);
    await apply({ ...job, metadata: { ...job.metadata, name } });
    return ended(name);
  }
  async function ended(job: string): Promise<Ended> {
    let last = "";
    for (const until = Date.now() + 50_000; Date.now() < until; await sleep(100)) {
      const [pod] = JSON.parse(
        await kubectl("get", "pods", "-l", `batch.kubernetes.io/job-name=${job}`, "-o", "json"),
      ).items;
      last = JSON.stringify(pod?.status);
      if (!["Succeeded", "Failed"].includes(pod?.status.phase)) continue;
      const containers = Object.fromEntries(
        (pod.status.containerStatuses ?? []).map((c: { name: string; state: { terminated: object } }) => [
          c.name,
          c.state.terminated,
        ]),
      );
      return { phase: pod.status.phase, reason: pod.status.reason, containers };
    }
    throw new Error(`${job} does not end: ${last}; ${errors.join("; ")}`);
  }

  it("starts nothing in a pod that was told to end while it waited for what it needs", async () => {
    const reference = { configMapKeyRef: { name: "late", key: "word" } };
    const container = {
      name: "main",
      image: "host:node",
      command: ["node", "-e", "setTimeout(() => {}, 600_000)"],
      env: [{ name: "WORD", valueFrom: reference }],
    };
    const spec = { nodeName: NODE_NAME, restartPolicy: "Never", containers: [container] };
    await apply({ apiVersion: "v1", kind: "Pod", metadata: { name: "waits" }, spec });
    await sleep(1500);
    await kubectl("delete", "pod", "waits", "--grace-period=1", "--wait=false");
    // Longer than the grace, after which everything that runs is killed.
    await sleep(2500);
    await apply({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "late" }, data: { word: "go" } });
    await kubectl("wait", "--for=delete", "pod/waits", "--timeout=25s");
  }, 60_000);

  it("lays a program's files over the host's, and none of them gets into the host's own through its links", async () => {
    const [link, target] = [join(d.home, "link"), join(d.home, "target")];
    mkdirSync(target);
    symlinkSync(target, link);
    const folder = join(d.home, "files", link);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "marker"), "of the image");
    const container = {
      name: "main",
      image: "host:files",
      command: ["sh", "-c", `cat ${link}/marker`],
    };
    const spec = { nodeName: NODE_NAME, restartPolicy: "Never", containers: [container] };
    await apply({ apiVersion: "v1", kind: "Pod", metadata: { name: "laid" }, spec });
    await kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/laid", "--timeout=25s");
    expect(await kubectl("logs", "laid")).toContain("of the image");
    expect(readdirSync(target)).toEqual([]);
    expect(readFileSync(join(folder, "marker"), "utf8")).toBe("of the image");
  }, 60_000);

  it("commits a step whose Job was applied with kubectl, and shows its log", async () => {
    const end = await run(undefined, await d.openRun());
    expect(end).toMatchObject({ phase: "Succeeded", containers: { step: { exitCode: 0, reason: "Completed" } } });
    expect(await kubectl("logs", "-l", `batch.kubernetes.io/job-name=job-${count}`)).toContain("exit 0");
    await kubectl("wait", "--for=condition=Complete", `job/job-${count}`, "--timeout=20s");
  }, 120_000);

  it.each<[string, Ended["phase"], object, Parameters<typeof run>[0]]>([
    [
      "another command",
      "Failed",
      { exitCode: 20, reason: "POLICY" },
      (spec) => void Object.assign(first(spec), { command: ["/sealflow/bin/node", "-e", "0"] }),
    ],
    [
      "a volume of the host",
      "Failed",
      { exitCode: 20, reason: "POLICY" },
      (spec) => {
        (spec.volumes as Json[]).push({ name: "host", hostPath: { path: "/" } });
        (first(spec).volumeMounts as Json[]).push({ name: "host", mountPath: "/host" });
      },
    ],
    [
      "scratch on the host's disk",
      "Failed",
      { exitCode: 20, reason: "POLICY" },
      (spec) => void Object.assign((spec.volumes as Json[])[0] as Json, { emptyDir: {} }),
    ],
    [
      "a runtime class that is no TEE",
      "Failed",
      { exitCode: 128, reason: "RuntimeClassUnknown" },
      (spec) => {
        spec.runtimeClassName = "gvisor";
      },
    ],
  ])(
    "a Job with %s gets no key",
    async (_what, phase, container, change) => {
      expect(await run(change)).toMatchObject({ phase, containers: { step: container } });
    },
    60_000,
  );

  it("a sidecar is refused by the agent policy, whatever its place", async () => {
    const sidecar = { name: "spy", image: "example.com/spy:1", command: ["sh"] };
    const end = await run((spec) => void spec.containers.unshift(sidecar), await d.openRun());
    expect(end.phase).toBe("Failed");
    expect(end.containers.spy).toMatchObject({ exitCode: 20, reason: "POLICY" });
    expect(readdirSync(join(d.home, "guests"))).toEqual([]);
  }, 60_000);

  it("ordinary pods run what the table names, with their token, files and environment, and end when told", async () => {
    await apply({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "words" }, data: { word: "planted" } });
    const program = `const fs = require("fs");
      console.log(process.env.NAME, process.env.WORD, fs.readFileSync("/data/word", "utf8"));
      const token = fs.readFileSync("/var/run/secrets/kubernetes.io/serviceaccount/token", "utf8");
      console.log(JSON.parse(Buffer.from(token.split(".")[1], "base64url"))["kubernetes.io"].pod.name);
      console.log("processes", process.pid, ...fs.readdirSync("/proc").filter((name) => /^\\d+$/.test(name)));
      setInterval(() => {}, 1000);`;
    await apply({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "plain" },
      spec: {
        terminationGracePeriodSeconds: 1,
        containers: [
          {
            name: "main",
            image: "host:node",
            command: ["node", "-e", program],
            env: [
              { name: "NAME", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
              { name: "WORD", valueFrom: { configMapKeyRef: { name: "words", key: "word" } } },
            ],
            volumeMounts: [{ name: "data", mountPath: "/data" }],
          },
        ],
        volumes: [{ name: "data", configMap: { name: "words" } }],
      },
    });
    await kubectl("wait", "--for=condition=Ready", "pod/plain", "--timeout=60s");
    for (let n = 0; n < 50 && !(await kubectl("logs", "plain")).includes("processes"); n++) await sleep(100);
    // It sees no process but itself: "kill -1", which Argo's executor sends when it is told to end, must not get out.
    expect(await kubectl("logs", "plain")).toBe("plain planted planted\nplain\nprocesses 1 1\n");
    // Its mounts were its own.
    expect(existsSync("/data/word")).toBe(false);
    await kubectl("delete", "pod", "plain", "--timeout=30s");
    const left = readdirSync("/proc").filter((pid) => {
      try {
        return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("/data/word");
      } catch {
        return false;
      }
    });
    expect(left).toEqual([]);
  }, 120_000);

  it("a container's last words become its message, and stay out of the host's /dev", async () => {
    const container = {
      name: "main",
      image: "host:node",
      command: ["sh", "-c", "echo planted > /dev/termination-log; exit 3"],
    };
    await apply({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "words" },
      spec: { restartPolicy: "Never", containers: [container] },
    });
    await kubectl("wait", "--for=jsonpath={.status.phase}=Failed", "pod/words", "--timeout=30s");
    const { containerStatuses } = JSON.parse(await kubectl("get", "pod", "words", "-o", "json")).status;
    expect(containerStatuses[0].state.terminated).toMatchObject({ exitCode: 3, message: "planted\n" });
    expect(existsSync("/dev/termination-log")).toBe(false);
  }, 60_000);

  it("a program that ends before anybody was told that it runs has ended", async () => {
    const names = Array.from({ length: 5 }, (_, i) => `short-${i}`);
    for (const name of names) {
      const container = { name: "main", image: "host:node", command: ["true"] };
      const metadata = { name, labels: { short: "yes" } };
      await apply({
        apiVersion: "v1",
        kind: "Pod",
        metadata,
        spec: { restartPolicy: "Never", containers: [container] },
      });
    }
    await kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod", "-l", "short=yes", "--timeout=40s");
  }, 60_000);

  it("sample evidence gets no key under the production policy", async () => {
    const { kbsUrl: url, caPem } = d.connection;
    const kbs = new KbsAdmin({ url, caPem, token: devAdminTokens(d.home), mode: "production" });
    await kbs.putPolicies();
    kbs.close();
    const end = await run(undefined, await d.openRun());
    expect(end).toMatchObject({ phase: "Failed", containers: { step: { exitCode: 20, reason: "KEY_DENIED" } } });
  }, 60_000);
});

/**
 * A fan-out through real Argo while parts of the world are killed: API server, ledger with key broker and store, node.
 * Each run ends right after the restart, with one counted commit a step and shard, and is watched from another machine.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { clusterMissing } from "../../tools/cluster";
import { cannotRunGuests } from "../guest/support/runner-layer";
import type { RunSummary } from "../support/chain";
import { ok, sealflow } from "../support/cli";
import { endProcess, eventually, NAMESPACE, type Stage, startNodeProcess, startStage } from "../support/cluster-stage";
import { createFan, SHARDS, setFan, sumOf } from "../support/fan";
import type { Project } from "../support/project";

jest.setTimeout(300_000);

const LEAVES = 4;
const RECEIPTS = LEAVES + SHARDS + 2;

const missing = clusterMissing({ argo: true }) ?? cannotRunGuests();
if (missing) console.log(`skipped: faults under pipelines on a test cluster: ${missing}`);

const LAUNCHER = path.resolve(__dirname, "../../bin/sealflow.js");

(missing ? describe.skip : describe)("a fan-out on a cluster", () => {
  let project: Project;
  let stage: Stage;
  let node: ChildProcess;
  /** Another machine: a connection file, a run key of its own, a kubeconfig. */
  let elsewhere: Project;
  /** Its key. */
  let runKeys: string[];

  async function startNode(): Promise<void> {
    node = await startNodeProcess(stage.nodeOptions);
  }
  const servicePid = () => JSON.parse(project.read(".sealflow/dev/holder.json")).pid as number;

  beforeAll(async () => {
    project = createFan(LEAVES, 1500);
    stage = await startStage(project);
    await startNode();
    const folder = mkdtempSync(path.join(tmpdir(), "sealflow-elsewhere-"));
    elsewhere = { dir: folder, home: path.join(folder, ".sealflow") } as Project;
    const [key] = (await ok(elsewhere, ["keys", "new", "--run", "me.jwk"])).stdout.split("\n");
    runKeys = [key ?? ""];
    setFan(project, { runKeys });
    await ok(project, ["up", "--stack", "kubernetes"], stage.env);
    copyFileSync(path.join(project.home, "pipelines/kubernetes/fan.json"), path.join(folder, "fan.json"));
    await ok(elsewhere, ["connect", "fan.json", "--run-key", "me.jwk"]);
  });
  afterAll(async () => {
    await endProcess(node);
    await stage?.stop();
    if (project) await sealflow(project, ["dev", "--stop"]);
    project?.remove();
    if (elsewhere) rmSync(elsewhere.dir, { recursive: true, force: true });
  });

  const workflows = `/apis/argoproj.io/v1alpha1/namespaces/${NAMESPACE}/workflows`;
  const podsOf = `/api/v1/namespaces/${NAMESPACE}/pods?labelSelector=app.kubernetes.io/component=`;
  /** Runs of Workflows, without asking the ledger. */
  const submitted = async (): Promise<string[]> => {
    const { items } = await stage.api.list(workflows);
    const specs = items.map(({ spec }) => spec as { arguments: { parameters: { name: string; value: string }[] } });
    return specs.flatMap((spec) =>
      spec.arguments.parameters.flatMap(({ name, value }) => (name === "run" ? value : [])),
    );
  };
  /** Waits until leaves of a new run are at work. @returns its id. */
  async function theMiddle(known: ReadonlySet<string>): Promise<string> {
    const run = await eventually("the run", async () => (await submitted()).find((id) => !known.has(id)));
    await eventually("a leaf at work", async () => {
      const { items } = await stage.api.list(`${podsOf}leaf-0`);
      return items.some(({ status }) => (status as { phase?: string }).phase === "Running") ? true : undefined;
    });
    // Past its boot, so that it has claimed.
    await sleep(1500);
    return run;
  }
  async function untilTheMiddle(): Promise<{ run: string; end: Promise<RunSummary> }> {
    const known = new Set(await submitted());
    const end = ok(project, ["run", "--json"], stage.env).then(({ stdout }) => JSON.parse(stdout) as RunSummary);
    end.catch(() => undefined);
    return { run: await theMiddle(known), end };
  }
  const runs = async (): Promise<string[]> =>
    JSON.parse((await ok(elsewhere, ["status", "--json"])).stdout).runs.map(({ run }: { run: string }) => run);
  const statusOf = async (run: string) =>
    JSON.parse((await ok(elsewhere, ["status", run, "--json"])).stdout) as {
      state: string;
      steps: Record<string, { state: string }>;
    };
  async function expectWhole(run: string): Promise<void> {
    const folder = path.join(project.dir, `fetched-${run.slice(0, 8)}`);
    const { stdout } = await ok(project, ["fetch", run, "--out", folder]);
    expect(stdout).toContain(`receipts verified: ${RECEIPTS}/${RECEIPTS}`);
    expect(JSON.parse(readFileSync(path.join(folder, "released/sum"), "utf8"))).toEqual(sumOf(LEAVES));
  }

  it("goes on after the API server was killed, though nobody follows any more: Ctrl-C detaches", async () => {
    const known = new Set(await submitted());
    const following = spawn(process.execPath, [LAUNCHER, "run", "--json"], {
      cwd: project.dir,
      env: { ...process.env, ...stage.env },
      stdio: ["ignore", "pipe", "ignore"],
    });
    let printed = "";
    following.stdout.setEncoding("utf8").on("data", (text: string) => {
      printed += text;
    });
    const code = new Promise((resolve) => following.once("close", resolve));
    const run = await theMiddle(known);
    following.kill("SIGINT");
    expect(await code).toBe(130);
    expect(JSON.parse(printed)).toMatchObject({ run, state: "open", detached: true });
    await stage.cluster.kill("kube-apiserver");
    await sleep(1000);
    expect((await statusOf(run)).state).toBe("open");
    await stage.cluster.start("kube-apiserver");
    await eventually("its end", async () => ((await statusOf(run)).state === "open" ? undefined : true), 120);
    await expectWhole(run);
  });

  it("goes on after the ledger, key broker and store were killed", async () => {
    const { run, end } = await untilTheMiddle();
    process.kill(servicePid(), "SIGKILL");
    await sleep(1000);
    await ok(project, ["dev", "--detach"]);
    const { state } = await end.catch(() =>
      ok(project, ["run", "--resume", run, "--json"], stage.env).then(({ stdout }) => JSON.parse(stdout) as RunSummary),
    );
    expect(state).toBe("succeeded");
    await expectWhole(run);
  });

  it("goes on after the node was killed with its guests", async () => {
    const { run, end } = await untilTheMiddle();
    await endProcess(node, "SIGKILL");
    await sleep(500);
    await startNode();
    const { state } = await end;
    expect(state).toBe("succeeded");
    await expectWhole(run);
  });

  it("opens the slot of a schedule without anybody's key, when the controller fires its CronWorkflow", async () => {
    // The first whole minute that an update comes before.
    const slot = new Date(Math.ceil((Date.now() + 45_000) / 60_000) * 60_000);
    const [minute, hour, day, month] = [
      slot.getUTCMinutes(),
      slot.getUTCHours(),
      slot.getUTCDate(),
      slot.getUTCMonth() + 1,
    ];
    setFan(project, { runKeys, cron: `${minute} ${hour} ${day} ${month} *` });
    await ok(project, ["up", "--stack", "kubernetes"], stage.env);
    const group = workflows.replace("/workflows", "");
    const cron = (await stage.api.get(`${group}/cronworkflows/kubernetes-fan-once`)) as {
      spec: { schedules: string[]; timezone: string };
    };
    expect(cron.spec).toMatchObject({ schedules: [`${minute} ${hour} ${day} ${month} *`], timezone: "Etc/UTC" });
    const known = new Set(await runs());
    const run = await eventually("its run", async () => (await runs()).find((id) => !known.has(id)), 120);
    expect(Date.now()).toBeGreaterThanOrEqual(slot.getTime());
    await eventually("its end", async () => ((await statusOf(run)).state === "open" ? undefined : true), 120);
    expect((await statusOf(run)).state).toBe("succeeded");
    await expectWhole(run);
    // The controller made one Workflow for it, and for that time.
    const { items } = await stage.api.list(`${workflows}?labelSelector=workflows.argoproj.io%2Fcron-workflow`);
    const timeOf = (metadata: object) =>
      (metadata as { annotations: Record<string, string> }).annotations["workflows.argoproj.io/scheduled-time"] ?? "";
    expect(items.map(({ metadata }) => Date.parse(timeOf(metadata)))).toEqual([slot.getTime()]);
    const [{ metadata } = { metadata: { name: "" } }] = items;
    const phase = async () =>
      ((await stage.api.get(`${workflows}/${metadata.name}`)).status as { phase?: string }).phase === "Succeeded";
    await eventually("its Workflow's end", async () => ((await phase()) ? true : undefined));
  });

  it("is watched, and its log is asked for, on another machine", async () => {
    const [run = ""] = await runs();
    expect((await statusOf(run)).state).toBe("succeeded");
    // Logs are the owner's: only a release key opens them.
    const logs = await sealflow(elsewhere, ["logs", "--run", run], stage.env);
    expect({ code: logs.code, stderr: logs.stderr }).toEqual({
      code: 1,
      stderr: expect.stringContaining("release key"),
    });
    writeFileSync(
      path.join(elsewhere.dir, "owner-release.jwk"),
      readFileSync(path.join(project.home, "keys/kubernetes/fan.owner-release.jwk")),
      { mode: 0o600 },
    );
    await ok(elsewhere, ["connect", "fan.json", "--release-key", "owner-release.jwk"]);
    expect((await ok(elsewhere, ["logs", "source", "--run", run])).stdout).toContain("source");
  });
});

/**
 * Attacks 5 to 10, 13, 15, 16 and 19 of `sealflow attack --list` by whoever owns the cluster: mounted through the real API
 * server and Argo's own controller on a deployed pipeline. Each ends in its named reason, and the pipeline still runs.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { secretTexts } from "../../cli/attack/secrets";
import { peekJws } from "../../protocol/jws";
import { descriptor } from "../../protocol/messages";
import { KbsAdmin } from "../../relying-party/kbs-client";
import { clusterMissing } from "../../tools/cluster";
import { type KubernetesNode, startKubernetesNode } from "../../untrusted/node/kubernetes";
import { cannotRunGuests } from "../guest/support/runner-layer";
import { devAdminTokens } from "../support/admin-key";
import { createClusterChain, PLANTED, removeChain } from "../support/chain";
import { etcdDump, eventually, NAMESPACE, RUNTIME_CLASS, runtimeClass, startStage } from "../support/cluster-stage";
import { scan } from "../support/scan";
import { injectInto } from "./control-plane/injector";
import { EVIL_CONFIG, JOB_ATTACKS, type Loose, PLAIN_CLASS } from "./control-plane/jobs";
import { PODS, templateOf, Victim } from "./control-plane/victim";

jest.setTimeout(300_000);

const missing = clusterMissing({ argo: true }) ?? cannotRunGuests();
if (missing) console.log(`skipped: attacks through an API server: ${missing}`);

/** Asks for a step's bundle from outside a guest, with all that its manifest says. */
const BEGGAR = `process.env.NODE_TLS_REJECT_UNAUTHORIZED = "0";
  fetch(process.env.KBS + "/kbs/v0/resource/" + process.env.SEALFLOW_RESOURCE)
    .then(async (answer) => console.log("answer", answer.status, await answer.text()));`;

(missing ? describe.skip : describe)("whoever owns the cluster", () => {
  let victim: Victim;
  let node: KubernetesNode;

  beforeAll(async () => {
    const project = createClusterChain();
    const stage = await startStage(project, { "host:node": { bin: dirname(process.execPath) } });
    victim = new Victim(project, stage, "kubernetes-chain");
    await stage.api.create("/apis/node.k8s.io/v1/runtimeclasses", runtimeClass(PLAIN_CLASS, "runc"));
    node = await startKubernetesNode(stage.nodeOptions);
    await victim.sealflow("up", "--stack", "kubernetes");
    const evil = { metadata: { name: EVIL_CONFIG }, data: { "owner.json": "{}" } };
    await stage.api.create(`/api/v1/namespaces/${NAMESPACE}/configmaps`, evil);
  });
  afterAll(async () => {
    await node?.stop();
    await victim?.stage.stop();
    if (victim) await removeChain(victim.project);
  });

  describe("starts a step's Job changed in one place: its pod ends in the reason", () => {
    let started: Promise<string>[];
    beforeAll(() => {
      started = JOB_ATTACKS.map(([, , , edit]) => victim.startJob("left", edit));
      return Promise.all(started);
    });
    it.each(JOB_ATTACKS.map(([n, what, reason], i) => [n, what, reason, i] as const))(
      "%i, %s: %s",
      async (_n, _what, reason, i) => {
        expect(await victim.endOfJob(await (started[i] as Promise<string>))).toMatchObject({ reason });
      },
    );
  });

  it("10, asks for a step's keys from a plain pod with its manifest: TokenNotFound", async () => {
    const job = await victim.startJob("left", (spec, _template, container) => {
      Object.assign(spec, { runtimeClassName: undefined });
      container.env.push({ name: "KBS", value: victim.stage.nodeOptions.connection?.kbsUrl });
      Object.assign(container, { image: "host:node", command: ["node", "-e", BEGGAR], securityContext: {} });
    });
    const { pod } = await victim.endOfJob(job);
    expect(await victim.logOf(pod)).toMatch(/answer 401 .*TokenNotFound/);
  });

  it("8, lets every pod be changed at admission: POLICY, once", async () => {
    const remove = await injectInto(victim.stage);
    let run: string;
    try {
      // Taken up after a moment.
      await eventually("the injector", async () =>
        (await victim.endOfJob(await victim.startJob("left"))).reason === "POLICY" ? true : undefined,
      );
      run = await victim.abandonedRun();
      const { phase, messages } = await victim.endOfWorkflow(await victim.startWorkflow(run));
      expect({ phase, messages: messages.join("\n") }).toEqual({
        phase: "Failed",
        messages: expect.stringContaining("PodFailurePolicy"),
      });
      // Refused for good, so it was started once.
      expect(messages.filter((message) => message.includes("exit code 64"))).toHaveLength(1);
    } finally {
      await remove();
    }
    expect(await victim.steps(run)).toMatchObject({ first: { state: "waiting", attempts: 0 } });
  });

  it("13, starts steps before their inputs, twice, and after their commit: they wait, one counts, SUPERSEDED", async () => {
    const run = await victim.abandonedRun();
    expect(await victim.steps(run)).toMatchObject({ first: { state: "waiting", attempts: 0 } });
    const early = await victim.startWorkflow(run, ["first"]);
    // The node's own word, and then the runner's: the ledger told it to wait. A pod may have gone since it was listed.
    const waits = async (pod: string) =>
      ((await victim.logOf(pod).catch(() => "")).match(/ waiting$/gm)?.length ?? 0) > 1;
    await eventually("their wait", async () => {
      const { left, right } = await victim.startedBy(early);
      return left && right && (await waits(left)) && (await waits(right)) ? true : undefined;
    });
    expect(await victim.steps(run)).toMatchObject({ left: { state: "waiting", attempts: 0 } });
    expect((await victim.run("--resume", run)).state).toBe("succeeded");
    expect(await victim.receipts(run)).toBe("receipts verified: 4/4");
    for (const { attempts } of Object.values(await victim.steps(run))) expect(attempts).toBeLessThanOrEqual(2);
    const { pod, exitCode } = await victim.endOfJob(await victim.startJob("first", undefined, run));
    expect({ exitCode, log: await victim.logOf(pod) }).toEqual({
      exitCode: 0,
      log: expect.stringMatching(/exit 0 superseded/),
    });
  });

  it("15, wires steps to each other's places: each is still what its identity says", async () => {
    const restore = await victim.rewrite((spec) => {
      const [left, right] = ["left", "right"].map((step) => templateOf(spec, step));
      [left.resource, right.resource] = [right.resource, left.resource];
    });
    const { run, state } = await victim.run("--params", "params.json");
    await restore();
    expect(state).toBe("succeeded");
    expect(await victim.receipts(run)).toBe("receipts verified: 4/4");
    const folder = join(victim.project.home, "runs", run);
    const result = JSON.parse(readFileSync(join(folder, "released", "result"), "utf8"));
    expect(result).toEqual({ left: { side: "left", count: 2 }, right: { side: "right", count: 2 } });
  });

  it("16, puts the template of an older version back: KEY_DENIED, and the new version's run ends well", async () => {
    const old = (await victim.readTemplate()).spec;
    const program = victim.project.read("stacks/index.js");
    victim.project.write("stacks/index.js", program.replace('"--note"', '"--remark"'));
    // Whoever edited the template owns its fields now: the owner takes them back.
    await victim.takeBack();
    const run = await victim.abandonedRun();
    const restore = await victim.rewrite((spec) => Object.assign(spec, old));
    const { phase, messages } = await victim.endOfWorkflow(await victim.startWorkflow(run));
    expect({ phase, messages: messages.join("\n") }).toEqual({
      phase: "Failed",
      messages: expect.stringContaining("PodFailurePolicy"),
    });
    const end = await victim.endOfJob(await victim.startJob("first", undefined, run));
    await restore();
    expect(end).toMatchObject({ exitCode: 20, reason: "KEY_DENIED" });
    expect((await victim.run("--resume", run)).state).toBe("succeeded");
    expect(await victim.receipts(run)).toBe("receipts verified: 4/4");
  });

  it("10, makes the runtime class lead to plain containers: ErrImagePull", async () => {
    const path = "/apis/node.k8s.io/v1/runtimeclasses";
    await victim.stage.api.call("DELETE", `${path}/${RUNTIME_CLASS}`);
    await victim.stage.api.create(path, runtimeClass(RUNTIME_CLASS, "runc"));
    const end = await victim.endOfJob(await victim.startJob("left"));
    await victim.stage.api.call("DELETE", `${path}/${RUNTIME_CLASS}`);
    await victim.stage.api.create(path, runtimeClass(RUNTIME_CLASS));
    expect(end).toMatchObject({ reason: "ErrImagePull" });
  });

  it("10, shows simulated evidence to the policies of production: KEY_DENIED", async () => {
    const { kbsUrl: url } = victim.stage.nodeOptions.connection as { kbsUrl: string };
    const { caPem } = JSON.parse(victim.project.read(".sealflow/connection.json"));
    const kbs = new KbsAdmin({ url, caPem, token: devAdminTokens(victim.project.home), mode: "production" });
    await kbs.putPolicies();
    kbs.close();
    expect(await victim.endOfJob(await victim.startJob("left"))).toMatchObject({ exitCode: 20, reason: "KEY_DENIED" });
  });

  it("19, reads every object, log, event and all of etcd, past values too: no secret", async () => {
    const { stage, project } = victim;
    const seen = join(project.dir, "seen");
    mkdirSync(seen);
    const kinds = (await stage.kubectl(["api-resources", "--verbs=list", "-o", "name"])).trim().split("\n");
    const objects = await stage.kubectl(["get", kinds.join(","), "-A", "-o", "json"]);
    writeFileSync(join(seen, "objects.json"), objects);
    for (const { metadata } of (await stage.api.list(PODS)).items) {
      // Argo deletes its own pods that ended well, also at this moment.
      const log = await stage.kubectl(["logs", "-n", NAMESPACE, metadata.name, "--all-containers"]).catch(() => "");
      writeFileSync(join(seen, `${metadata.name}.log`), log);
    }
    expect(readdirSync(seen).filter((name) => readFileSync(join(seen, name)).length > 0).length).toBeGreaterThan(10);
    const { keys, bytes } = await etcdDump(stage.cluster.etcd);
    writeFileSync(join(seen, "etcd"), bytes);
    // It looks where everything is: the objects of the pipeline, and what is only in values of the past.
    expect(keys).toContain(`/registry/argoproj.io/workflowtemplates/${NAMESPACE}/kubernetes-chain`);
    expect(bytes.includes("SEALFLOW_RESOURCE")).toBe(true);
    const connection = JSON.parse(project.read(".sealflow/pipelines/kubernetes/chain.json")) as Loose;
    const { ns } = peekJws("sealflow-descriptor+jwt", connection.descriptor, descriptor);
    const planted = Object.values(PLANTED);
    const secrets = [...planted, ...secretTexts(project.home, ns)];
    expect(secrets.length).toBeGreaterThan(20);
    expect(scan([seen], secrets).hits).toEqual([]);
    const past = scan([join(stage.cluster.dir, "etcd"), join(stage.cluster.dir, "log")], planted);
    expect(past.hits).toEqual([]);
    expect(past.files).toBeGreaterThan(5);
  });
});

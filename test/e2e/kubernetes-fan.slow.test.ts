/**
 * A wide fan-out through real Argo, split into parts, carried out by real guests. More of it by hand: docs/argo.md, "Large
 * pipelines". SEALFLOW_TEST_LEAVES (steps side by side), SEALFLOW_TEST_SECONDS (limit for all), SEALFLOW_TEST_PLACES
 * (guests at the same time).
 */
import type { ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import * as path from "node:path";
import { STEPS_PER_PART as DEFAULT_PART } from "../../components/backend/argo/render/parts";
import { clusterMissing } from "../../tools/cluster";
import { cannotRunGuests } from "../guest/support/runner-layer";
import type { RunSummary } from "../support/chain";
import { ok, sealflow } from "../support/cli";
import {
  endProcess,
  etcdDump,
  NAMESPACE,
  type Stage,
  startNodeProcess,
  startStage,
  watchLargest,
} from "../support/cluster-stage";
import { createFan, FAN_PLANTED, groupsOf, SHARDS, sumOf } from "../support/fan";
import type { Project } from "../support/project";
import { scanString } from "../support/scan";

jest.setTimeout(Number(process.env.SEALFLOW_TEST_SECONDS ?? 400) * 1000);

const LEAVES = Number(process.env.SEALFLOW_TEST_LEAVES ?? 36);
const PLACES = process.env.SEALFLOW_TEST_PLACES ?? "6";
/** As many as there are by default in a run that is large, few in one that is not. */
const STEPS_PER_PART = LEAVES > 60 ? DEFAULT_PART : 14;
const STEPS = LEAVES + 3 + groupsOf(LEAVES);
const RECEIPTS = STEPS - 1 + SHARDS;

const missing = clusterMissing({ argo: true }) ?? cannotRunGuests();
if (missing) console.log(`skipped: a fan-out on a test cluster: ${missing}`);

(missing ? describe.skip : describe)(`a fan-out of ${STEPS} steps on a cluster`, () => {
  let project: Project;
  let stage: Stage;
  let node: ChildProcess;

  beforeAll(async () => {
    // An executor beside each guest that runs or waits is enough; more of them only take memory.
    const parts = Math.ceil(LEAVES / STEPS_PER_PART);
    const parallelism = Math.max(2, Math.ceil((2 * Number(PLACES)) / parts));
    project = createFan(LEAVES, 0, { stepsPerPart: STEPS_PER_PART, parallelism });
    stage = await startStage(project);
    node = await startNodeProcess({ ...stage.nodeOptions, capacity: { cpu: PLACES } });
    const started = Date.now();
    await ok(project, ["up", "--stack", "kubernetes"], stage.env);
    console.info(`up of ${STEPS} steps: ${(Date.now() - started) / 1000} s`);
  });
  afterAll(async () => {
    await endProcess(node);
    await stage?.stop();
    if (project) await sealflow(project, ["dev", "--stop"]);
    project?.remove();
  });

  it("runs to the end in parts; nothing of it that is secret is in etcd; no object reaches 1 MB", async () => {
    const started = Date.now();
    const grown = watchLargest(stage.cluster.etcd, `/registry/argoproj.io/workflows/${NAMESPACE}/`);
    const { run, state } = JSON.parse(
      (await ok(project, ["run", "--json"], stage.env).finally(() => grown())).stdout,
    ) as RunSummary;
    console.info(`run of ${RECEIPTS} guests: ${(Date.now() - started) / 1000} s`);
    expect(state).toBe("succeeded");
    const { keys, bytes, largest } = await etcdDump(stage.cluster.etcd);
    // The Workflow that the run began with and those of the parts, which it has cleaned up or not yet.
    const templates = keys.filter((key) => key.startsWith(`/registry/argoproj.io/workflowtemplates/${NAMESPACE}/`));
    expect(templates.length).toBeGreaterThan(LEAVES / STEPS_PER_PART);
    expect(keys.some((key) => key.startsWith(`/registry/argoproj.io/workflows/${NAMESPACE}/`))).toBe(true);
    expect(bytes.includes(run)).toBe(true);
    expect(scanString(bytes.toString("latin1"), "etcd", Object.values(FAN_PLANTED))).toEqual([]);
    const largestWorkflow = await grown();
    console.info(`largest value in etcd: ${largest} bytes; a Workflow: ${largestWorkflow}; all of it: ${bytes.length}`);
    expect(largest).toBeLessThan(1_000_000);
    // With the states that it had while it ran.
    expect(largestWorkflow).toBeGreaterThan(10_000);
    expect(largestWorkflow).toBeLessThan(1_000_000);
    // Nor would one of a part as large as they are by default.
    expect((largestWorkflow / STEPS_PER_PART) * DEFAULT_PART).toBeLessThan(1_000_000);
    const folder = path.join(project.dir, "fetched");
    const { stdout } = await ok(project, ["fetch", run, "--out", folder]);
    expect(stdout).toContain(`receipts verified: ${RECEIPTS}/${RECEIPTS}`);
    expect(JSON.parse(readFileSync(path.join(folder, "released/sum"), "utf8"))).toEqual(sumOf(LEAVES));
  });
});

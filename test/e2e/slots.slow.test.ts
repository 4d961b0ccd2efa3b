/** `sealflow dev` keeps the time of local schedules: a slot becomes a run that nobody asked for, once. */
import { setTimeout as sleep } from "node:timers/promises";
import { ok } from "../support/cli";
import { createProject, type Project } from "../support/project";

jest.setTimeout(300_000);

const PROGRAM = `
const { ConfidentialPipeline, image, localEnvironment, pipeline } = require("sealflow");
const p = pipeline("often");
const work = p.step("work", { image: image.folder("./steps/work"), command: ["node", "/app/main.js"], outputs: { out: "json" } });
p.release({ out: work.out });
p.schedule("minutely", "* * * * *");
new ConfidentialPipeline("often", { spec: p.toJSON(), environment: localEnvironment() });
`;

let project: Project;

beforeAll(async () => {
  project = createProject(PROGRAM);
  project.write("steps/work/main.js", `require("fs").writeFileSync("/sealflow/out/out", "{}")`);
  await ok(project, ["dev", "--detach"]);
  await ok(project, ["up", "--stack", "local"]);
});
afterAll(async () => {
  await ok(project, ["dev", "--stop"]).catch(() => {});
  project.remove();
});

interface Run {
  readonly run: string;
  readonly state: string;
  readonly openedAt: number;
  readonly steps: Record<string, { shards: { attempts: number }[] }>;
}
const runs = async (): Promise<Run[]> => JSON.parse((await ok(project, ["status", "--json"])).stdout).runs;

it("the first slot after the deployment is carried out, by one attempt", async () => {
  let found: Run[] = [];
  for (const deadline = Date.now() + 150_000; Date.now() < deadline; await sleep(2_000)) {
    found = (await runs()).filter(({ state }) => state === "succeeded");
    if (found.length > 0) break;
  }
  const [first] = found;
  expect(first?.steps.work?.shards).toEqual([expect.objectContaining({ attempts: 1 })]);
  const minutes = found.map(({ openedAt }) => Math.floor(openedAt / 60));
  expect(new Set(minutes).size).toBe(minutes.length);
  const [listed] = JSON.parse((await ok(project, ["schedules", "--json"])).stdout).schedules;
  expect(listed).toMatchObject({ name: "minutely", cron: "* * * * *" });
});

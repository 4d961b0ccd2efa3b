/** What a user meets when something is wrong: each time the place, what was found, what to do, and an exit code. */
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createChain, type RunSummary, removeChain, run, STACK, startServices, up } from "../support/chain";
import { ok, sealflow } from "../support/cli";
import { createProject, type Project } from "../support/project";

jest.setTimeout(600_000);

let project: Project;
afterEach(() => removeChain(project));

const pulumi = (...args: string[]) => ["pulumi", "--", ...args, "--non-interactive", "--color", "never"];
/** Output and code of a command that must fail. */
async function failing(args: string[]): Promise<{ code: number; said: string; stdout: string }> {
  const { code, stdout, stderr } = await sealflow(project, args);
  expect(code).not.toBe(0);
  return { code, said: stdout + stderr, stdout };
}

const HEAD = `const { ConfidentialPipeline, dataset, image, localEnvironment, pipeline } = require("sealflow");\n`;

describe("a pipeline that is written wrongly", () => {
  it("is refused with every problem at once, before anything is made", async () => {
    project = createProject(`${HEAD}
const p = pipeline("wrong");
const rows = p.input("rows", "jsonl");
const a = { image: image.folder("./steps/a"), command: ["node", "/app/main.js"] };
p.step("first", { ...a, inputs: { rows }, outputs: { out: "json" } });
p.step("first", { ...a, inputs: { rows }, outputs: { out: "json" } });
p.step("second", { ...a, inputs: { rows }, outputs: { out: "pickle" } });
const spec = JSON.parse(JSON.stringify(p));
new ConfidentialPipeline("wrong", { spec, inputs: { rows: dataset.file("rows.jsonl") }, environment: localEnvironment() });
`);
    const { code, said } = await failing(["up", "--json"]);
    expect(code).toBe(6);
    expect(said).toMatch(/steps\.first: two steps have this name/);
    expect(said).toMatch(/steps\.second\.outputs\.out.*"pickle" is not supported.*safetensors/);
    expect(said).not.toMatch(/unhandled exception|at Object\./);
  });

  it("an unknown reference names the step and those that there are", async () => {
    project = createProject(`${HEAD}
const step = { image: image.folder("./steps/a"), command: ["node", "/app/main.js"], outputs: { out: "json" } };
const p = pipeline("wrong");
p.step("first", step);
p.step("second", { ...step, inputs: { x: p.step("third", step).out } });
const spec = JSON.parse(JSON.stringify(p).replace("third.out", "frist.out"));
new ConfidentialPipeline("wrong", { spec, environment: localEnvironment() });
`);
    const { code, said } = await failing(["up"]);
    expect(code).toBe(6);
    expect(said).toMatch(/frist[\s\S]*first/);
  });
});

describe("files that are not there", () => {
  it("a missing image folder and a missing dataset are named, and the next up repairs it", async () => {
    project = createChain();
    await startServices(project);
    // By a preview: an `up` may seal the dataset before it fails, and then takes it as unchanged when it is missing.
    await ok(project, pulumi("stack", "init", STACK));
    renameSync(path.join(project.dir, "data/mails.jsonl"), path.join(project.dir, "data/gone"));
    const previewed = await failing(pulumi("preview", "--stack", STACK));
    expect(previewed.said).toMatch(/data\/mails\.jsonl: no such file/);
    renameSync(path.join(project.dir, "data/gone"), path.join(project.dir, "data/mails.jsonl"));
    renameSync(path.join(project.dir, "steps/join"), path.join(project.dir, "steps/gone"));
    const half = await failing(["up"]);
    expect(half.code).toBe(6);
    expect(half.said).toMatch(/steps\/join/);
    renameSync(path.join(project.dir, "steps/gone"), path.join(project.dir, "steps/join"));
    await up(project);
    expect((await run(project)).state).toBe("succeeded");
    await ok(project, pulumi("preview", "--stack", STACK, "--expect-no-changes"));
  });
});

describe("the relying party", () => {
  it("down: up, run, status and fetch say how to start it, also as JSON; killed during up, the next one repairs it", async () => {
    project = createChain();
    const never = await failing(["up"]);
    expect(never.said).toMatch(/no relying party: .*npx sealflow dev/);

    await startServices(project);
    const { pid } = JSON.parse((await ok(project, ["dev", "--status", "--json"])).stdout);
    const during = failing(["up"]);
    await seen(() => readFileSync(path.join(project.home, "dev/log"), "utf8").length > 0 && images(project) > 0);
    process.kill(pid, "SIGKILL");
    const { code, said } = await during;
    expect(code).toBe(6);
    expect(said).toMatch(/npx sealflow dev/);
    await startServices(project);
    await up(project);
    expect((await run(project)).state).toBe("succeeded");

    await ok(project, ["dev", "--stop"]);
    for (const args of [["run"], ["status"], ["fetch"]]) {
      const down = await failing([...args, "--json"]);
      expect(down.code).toBe(4);
      expect(JSON.parse(down.stdout).error).toEqual({
        code: "UNREACHABLE",
        message: expect.stringMatching(/^relying party https.*npx sealflow dev --detach$/),
      });
    }
  });

  // A small disk is mounted, which needs root.
  (process.getuid?.() === 0 ? it : it.skip)(
    "with a full disk: the run fails with the reason and leaves nothing half; with room again it goes on",
    async () => {
      project = createChain();
      await startServices(project);
      await up(project);
      await ok(project, ["dev", "--stop"]);
      const objects = path.join(project.home, "dev/objects");
      const kept = `${objects}.kept`;
      renameSync(objects, kept);
      mkdirSync(objects);
      expect(spawnSync("mount", ["-t", "tmpfs", "-o", "size=32k,mode=700", "sealflow-test", objects]).status).toBe(0);
      try {
        spawnSync("cp", ["-a", `${kept}/.`, objects]);
        spawnSync("sh", ["-c", `cat /dev/zero > ${path.join(objects, "fill")} 2>/dev/null`]);
        await startServices(project);
        const { code, said } = await failing(["run"]);
        expect(code).toBe(3);
        expect(said).toMatch(/first: (failed|retrying).*exit 10/);
        rmSync(path.join(objects, "fill"));
        expect(spawnSync("mount", ["-o", "remount,size=32m", objects]).status).toBe(0);
        expect((await run(project)).state).toBe("succeeded");
      } finally {
        await ok(project, ["dev", "--stop"]).catch(() => {});
        spawnSync("umount", [objects]);
      }
    },
  );
});

describe("keys and secrets of the owner", () => {
  it("a wrong passphrase is told, and the right one is enough to go on", async () => {
    project = createChain();
    await startServices(project);
    await up(project);
    const file = path.join(project.home, "pulumi/passphrase");
    const right = readFileSync(file);
    writeFileSync(file, "another");
    const { code, said } = await failing(["up"]);
    expect(code).toBe(6);
    expect(said).toMatch(/incorrect passphrase/);
    expect(said).toContain("pulumi/passphrase");
    writeFileSync(file, right);
    await ok(project, pulumi("preview", "--stack", STACK, "--expect-no-changes"));
  });
});

describe("two stacks on one relying party", () => {
  it("deploy A, deploy B, destroy B, run A", async () => {
    project = createChain();
    await startServices(project);
    await up(project);
    await ok(project, ["up", "--stack", "other"]);
    const other = JSON.parse((await ok(project, ["run", "--stack", "other", "--json"])).stdout) as RunSummary;
    expect(other.state).toBe("succeeded");
    await ok(project, pulumi("destroy", "--stack", "other", "--yes", "--skip-preview"));
    const first = await run(project);
    expect(first.state).toBe("succeeded");
    const identities = (summary: RunSummary) => summary.steps.map(({ identity }) => identity);
    expect(identities(first).filter((identity) => identities(other).includes(identity))).toEqual([]);
    await ok(project, ["fetch", first.run]);
  });
});

const SLOW = `${HEAD}
const p = pipeline("slow");
const wait = p.step("wait", { image: image.folder("./steps/wait"), command: ["node", "/app/main.js"], outputs: { out: "json" } });
const end = p.step("end", { image: image.folder("./steps/end"), command: ["node", "/app/main.js"], inputs: { x: wait.out }, outputs: { out: "json" },
  trustProgram: require("fs").existsSync(__dirname + "/trust") ? "our own code" : undefined });
p.release({ out: end.out });
new ConfidentialPipeline("slow", { spec: p.toJSON(), environment: localEnvironment() });
`;
const WRITE = `const fs = require("node:fs");
setTimeout(() => fs.writeFileSync((process.env.SEALFLOW_OUT ?? "/sealflow/out") + "/out", "{}"), SECONDS * 1000);\n`;

function createSlow(seconds: number): Project {
  const slow = createProject(SLOW);
  slow.write("steps/wait/main.js", WRITE.replace("SECONDS", String(seconds)));
  slow.write("steps/end/main.js", WRITE.replace("SECONDS", "0"));
  return slow;
}

describe("a run that is open while a new version is deployed", () => {
  it("is closed: nothing of it commits any more, the command says so, and the next run is the new version's", async () => {
    project = createSlow(25);
    await startServices(project);
    await up(project);
    const open = sealflow(project, ["run", "--json"]);
    await seen(async () => /wait: running|"running"/.test((await sealflow(project, ["status", "--json"])).stdout), 500);
    await sleep(3000);
    project.write("steps/end/main.js", `${project.read("steps/end/main.js")}// changed\n`);
    await up(project);
    const { code, stdout } = await open;
    expect(code).toBe(3);
    const summary = JSON.parse(stdout) as RunSummary;
    expect(summary.state).toBe("closed");
    expect(summary.steps.filter(({ state }) => state === "committed")).toEqual([]);
    expect((await failing(["run", "--resume", summary.run])).said).toMatch(/is closed/);
    project.write("steps/wait/main.js", WRITE.replace("SECONDS", "0"));
    await up(project);
    expect((await run(project)).state).toBe("succeeded");
  });
});

describe("a step that is trusted", () => {
  it("is said in preview, receipt and verification report", async () => {
    project = createSlow(0);
    await startServices(project);
    await up(project);
    project.write("stacks/trust", "");
    const { stdout, stderr } = await ok(project, pulumi("preview", "--stack", STACK, "--diff"));
    expect(stdout + stderr).toMatch(
      /step "end" runs without isolation from the runner that holds its keys: our own code/,
    );
    expect(stdout).toMatch(/trustProgram\s*: "our own code"/);
    await up(project);
    const { run: id, state } = await run(project);
    expect(state).toBe("succeeded");
    await ok(project, ["fetch", id]);
    const folder = path.join(project.home, "runs", id);
    expect((await ok(project, ["verify", folder])).stdout).toMatch(/note: end ran without isolation.*: our own code/);
    const report = JSON.parse((await ok(project, ["verify", folder, "--json"])).stdout);
    expect(report.steps).toEqual(
      expect.arrayContaining([expect.objectContaining({ step: "end", trustProgram: "our own code" })]),
    );
    expect(report.steps.find((s: { step: string }) => s.step === "wait").trustProgram).toBeUndefined();
  });
});

/** Until something is so, or the test's time is over. */
async function seen(look: () => boolean | Promise<boolean>, pause = 100): Promise<void> {
  while (!(await look())) await sleep(pause);
}

const images = ({ home }: Project): number =>
  Number(spawnSync("sh", ["-c", `ls ${path.join(home, "images")} 2>/dev/null | wc -l`], { encoding: "utf8" }).stdout);

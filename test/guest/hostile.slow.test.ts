/** A hostile step program (DESIGN §5.7): what it tries, it does not get. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createNode, type SimulatedNode } from "../../untrusted/node";
import { type Deployed, deploy, type StepSource } from "./support/deployed";
import { cannotRunGuests, layerWithoutSandbox } from "./support/runner-layer";

const PROBE = readFileSync(join(__dirname, "hostile", "probe.js"), "utf8");
const MARKER = "left-behind-4711";

interface Report {
  readonly network: Record<string, unknown>;
  readonly process: Record<string, unknown>;
  readonly files: Record<string, unknown> & { readonly readable: string[]; readonly found: string[] };
  readonly writes: Record<string, string>;
  readonly background: unknown;
  readonly params: string;
  readonly input: string;
}

/** Command lines of this machine that have the marker. */
const leftovers = (): string[] =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((pid) => {
      try {
        const line = readFileSync(`/proc/${pid}/cmdline`, "utf8");
        return line.includes(MARKER) ? [line] : [];
      } catch {
        return [];
      }
    });

/** A guest of an ordinary user has one uid, so the program's is the guest's root, without any power. */
const ORDINARY_USER = process.getuid?.() !== 0;

const reason = cannotRunGuests();
(reason ? describe.skip : describe)(`a hostile program${reason ? ` (${reason})` : ""}`, () => {
  let d: Deployed;
  let node: SimulatedNode;
  let run: string;
  let report: Report;
  const json = { format: "json" as const };
  const writer = (code: string): StepSource => ({ files: { "main.js": code }, outputs: { a: json } });

  beforeAll(async () => {
    d = await deploy({
      datasets: {
        mine: { format: "text", content: "my own input" },
        other: { format: "text", content: "only for the other step" },
      },
      steps: {
        probe: {
          files: { "main.js": PROBE },
          inputs: { mine: { dataset: "mine", format: "text" } },
          outputs: { report: json },
        },
        reader: { ...writer("0"), inputs: { other: { dataset: "other", format: "text" } } },
        link: writer(`require("fs").symlinkSync("/proc/self/environ", "/sealflow/out/a")`),
        folder: writer(`require("fs").mkdirSync("/sealflow/out/a")`),
        socket: writer(`require("net").createServer().listen("/sealflow/out/a", () => process.exit(0))`),
      },
    });
    node = createNode({ home: d.home, connection: d.connection });
    const ledgerPort = Number(new URL(d.connection.ledgerUrl).port);
    run = await d.openRun({ probe: { ledgerPort, marker: MARKER } });
    const end = await node.runJob(d.jobs.probe, { runHint: run });
    expect(end).toMatchObject({ exitCode: 0, end: "committed" });
    const exported = await d.released(run, "probe-report");
    report = JSON.parse(exported) as Report;
  }, 120_000);
  afterAll(() => d?.close());

  test("reaches no network: not the CDH, not the ledger, nothing outside", () => {
    expect(report.network).toEqual({
      cdh: "ECONNREFUSED",
      ledger: "ECONNREFUSED",
      outside: "ENETUNREACH",
      interfaces: ["lo"],
    });
  });

  test("is nobody: own uid, no capability, no way to gain one, filtered system calls, clean environment", () => {
    expect(report.process).toMatchObject({
      uid: ORDINARY_USER ? 0 : 65532,
      groups: [ORDINARY_USER ? 0 : 65532],
      capabilities: "0000000000000000",
      noNewPrivileges: "1",
      seccomp: "2",
      env: ["HOME", "PATH", "SEALFLOW_SHARD", "SEALFLOW_SHARDS"],
      becomeRoot: ORDINARY_USER ? "done" : "EPERM",
    });
  });

  test("sees no process but its own namespace's, and reads nothing of its first", () => {
    if (ORDINARY_USER) expect(report.process.initEnviron).toBe("");
    else expect(report.process).toMatchObject({ initEnviron: "EACCES", initMemory: "EACCES", killInit: "EPERM" });
    const others = report.process.others as string[];
    expect(others).toHaveLength(1);
    expect(others[0]).toContain("bwrap");
    expect(report.process.descriptors).toEqual([]);
  });

  test("finds no file of the runner, no bundle, no other step's data", () => {
    expect(report.files).toMatchObject({
      sealflow: ["bin", "in", "lib", "out", "params.json"],
      bin: ["node"],
      owner: "ENOENT",
      runner: "ENOENT",
      scratch: "ENOENT",
      found: [],
    });
    expect(report.files.readable.filter((path) => !path.startsWith("/app/"))).toEqual(
      expect.arrayContaining(["/sealflow/in/mine", "/sealflow/params.json"]),
    );
  });

  test("writes nowhere but in its output, /tmp and /dev/shm", () => {
    for (const [path, result] of Object.entries({ ...report.writes, params: report.params, input: report.input })) {
      if (ORDINARY_USER && path === "/dev/x") continue; // its own /dev, gone with it
      expect(`${path} ${result}`).toMatch(/ (EROFS|EACCES|EPERM|ENOENT|ETXTBSY)$/);
    }
  });

  test("leaves no process behind", () => {
    // It ran when the program wrote its report.
    expect(report.background).toBe(true);
    expect(leftovers()).toEqual([]);
  });

  test.each(["link", "folder", "socket"])(
    "an output that is a %s is refused, and nothing of it is committed",
    async (step) => {
      const end = await node.runJob(d.jobs[step], { runHint: run });
      expect(end).toMatchObject({ exitCode: 40, code: "OUTPUT_KIND", end: "recorded" });
    },
  );

  test("a step's guest gets its own bundle only, also when it asks for another's by its path", async () => {
    const job = structuredClone(d.jobs.probe) as unknown as {
      spec: { template: { spec: { containers: { env: { name: string; value: string }[] }[] } } };
    };
    const env = job.spec.template.spec.containers[0]?.env ?? [];
    for (const entry of env) if (entry.name === "SEALFLOW_RESOURCE") entry.value = d.resources.reader ?? "";
    expect(await node.runJob(job, { runHint: run })).toMatchObject({ exitCode: 20, code: "POLICY" });
  });
});

(reason ? describe.skip : describe)("a guest that cannot isolate programs", () => {
  let d: Deployed | undefined;
  afterEach(() => d?.close());
  const code = `const fs = require("fs");
    fs.writeFileSync((process.env.SEALFLOW_OUT ?? "/sealflow/out") + "/a", "{}");`;

  test("refuses with ISOLATION before it claims; with trustProgram it runs, and the receipt says so", async () => {
    const step: StepSource = { files: { "main.js": code }, outputs: { a: { format: "json" } } };
    d = await deploy(
      { steps: { careful: step, trusting: { ...step, trustProgram: "our own code" } } },
      { layer: layerWithoutSandbox },
    );
    const node = createNode({ home: d.home, connection: d.connection });
    const run = await d.openRun();
    const refused = await node.runJob(d.jobs.careful, { runHint: run });
    expect(refused).toMatchObject({ exitCode: 20, code: "ISOLATION", mode: "process" });
    expect(await node.runJob(d.jobs.trusting, { runHint: run })).toMatchObject({ exitCode: 0, end: "committed" });
    const status = await d.ledger.run(run, await d.readToken());
    expect(status.steps.careful).toMatchObject({ state: "waiting" });
    expect(await d.receipts(run)).toEqual([
      expect.objectContaining({ step: "trusting", isolation: "none", trustProgram: "our own code" }),
    ]);
  }, 120_000);
});

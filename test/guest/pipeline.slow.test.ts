/** The whole chain with real parts: sealed images, KBS, ledger, simulated guests, runner, verification. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createNode, type JobEnd } from "../../untrusted/node";
import { type Deployed, deploy, type PipelineSource } from "./support/deployed";
import { cannotRunGuests } from "./support/runner-layer";

const reason = cannotRunGuests();
(reason ? describe.skip : describe)(`steps run in simulated guests${reason ? ` (${reason})` : ""}`, () => {
  let d: Deployed | undefined;
  afterEach(async () => {
    await d?.close();
    d = undefined;
  });

  const SPLIT = `const fs = require("fs");
const rows = fs.readFileSync("/sealflow/in/rows", "utf8").trim().split("\\n");
const { take } = JSON.parse(fs.readFileSync("/sealflow/params.json"));
fs.writeFileSync("/sealflow/out/part", rows.slice(0, take).join("\\n") + "\\n");
console.log("split", rows.length, "rows");`;
  const PART = `const fs = require("fs");
const { SEALFLOW_SHARD: shard, SEALFLOW_SHARDS: shards } = process.env;
const rows = fs.readFileSync("/sealflow/in/part", "utf8").trim().split("\\n").filter((_, i) => i % shards === Number(shard));
fs.writeFileSync("/sealflow/out/sum", JSON.stringify({ shard, n: rows.map((r) => JSON.parse(r).n).reduce((a, b) => a + b, 0) }));`;
  const TOTAL = `const fs = require("fs");
const parts = fs.readdirSync("/sealflow/in/sums").sort().map((f) => JSON.parse(fs.readFileSync("/sealflow/in/sums/" + f)));
fs.writeFileSync("/sealflow/out/total", JSON.stringify({ parts, n: parts.reduce((a, p) => a + p.n, 0) }));`;

  const pipeline: PipelineSource = {
    datasets: { rows: { format: "jsonl", content: '{"n":1}\n{"n":20}\n{"n":300}\n{"n":4000}\n' } },
    steps: {
      split: {
        files: { "main.js": SPLIT },
        inputs: { rows: { dataset: "rows", format: "jsonl" } },
        outputs: { part: { format: "jsonl" } },
      },
      sum: {
        files: { "main.js": PART },
        inputs: { part: { from: "split.part", format: "jsonl" } },
        outputs: { sum: { format: "json" } },
        limits: { shards: 2 },
      },
      total: {
        files: { "main.js": TOTAL },
        inputs: { sums: { from: "sum.sum", format: "json", collect: true } },
        outputs: { total: { format: "json" } },
      },
    },
  };

  test.each(["namespaces", "process"] as const)(
    "dataset, shards, collect and parameters, mode %s",
    async (mode) => {
      d = await deploy(pipeline);
      const node = createNode({ home: d.home, connection: d.connection, mode });
      const run = await d.openRun({ split: { take: 3 } });
      const start = (step: string, shard = 0): Promise<JobEnd> =>
        node.runJob(d?.jobs[step], { runHint: run, shard }).then((end) => ({ ...end, seconds: 0 }));
      const good = { exitCode: 0, end: "committed", mode, seconds: 0 };
      expect(await start("split")).toEqual(good);
      expect(await Promise.all([start("sum", 0), start("sum", 1)])).toEqual([good, good]);
      expect(await start("total")).toEqual(good);
      // The step is committed: another pod finds nothing to do.
      expect(await start("total")).toEqual({ ...good, end: "superseded" });
      expect(await d.logs(run)).toContain("split 4 rows\n[sealflow] ended well\n");
      const { fetched, dir } = await d.fetch(run);
      expect(fetched.report).toMatchObject({ ok: true, problems: [], receipts: { verified: 4, expected: 4 } });
      expect(fetched.report.steps.map((s) => s.isolation)).toEqual([
        "namespaces",
        "namespaces",
        "namespaces",
        "namespaces",
      ]);
      const total: unknown = JSON.parse(readFileSync(join(dir, "released", "total-total"), "utf8"));
      expect(total).toEqual({
        parts: [
          { shard: "0", n: 301 },
          { shard: "1", n: 20 },
        ],
        n: 321,
      });
    },
    120_000,
  );

  const failing: [string, string, Partial<PipelineSource["steps"][string]>, object, string][] = [
    [
      "exits with 3",
      "console.log('text of mine'); process.exit(3)",
      {},
      { exitCode: 40, code: "PROGRAM" },
      "text of mine",
    ],
    [
      "never ends",
      "setInterval(() => {}, 1000)",
      { limits: { timeoutSeconds: 1 } },
      { exitCode: 41, code: "TIMEOUT" },
      "stopped after 1 s",
    ],
    ["writes no output", "", {}, { exitCode: 40, code: "OUTPUT_MISSING" }, "/sealflow/out/a"],
    [
      "writes broken JSON",
      "require('fs').writeFileSync('/sealflow/out/a', '{')",
      {},
      { exitCode: 32, code: "FORMAT" },
      "JSON ends",
    ],
    [
      "is no command",
      "",
      { command: ["nothing-there"] },
      { exitCode: 40, code: "PROGRAM" },
      "nothing-there: command not found",
    ],
    ["ends by a signal", "process.kill(process.pid, 'SIGKILL')", {}, { exitCode: 40, code: "PROGRAM" }, "code 137"],
    ["fails and hides it", "process.exit(9)", { exitClass: "hidden" }, { exitCode: 0, end: "recorded" }, "code 9"],
  ];
  test("a failure is recorded once with its class, and why it failed is in the log alone", async () => {
    const steps = Object.fromEntries(
      failing.map(([, code, more], i) => [
        `s${i}`,
        { files: { "main.js": code }, outputs: { a: { format: "json" as const } }, ...more },
      ]),
    );
    d = await deploy({ steps });
    const node = createNode({ home: d.home, connection: d.connection });
    const run = await d.openRun();
    for (const [i, [, , , expected, inLog]] of failing.entries()) {
      const end = await node.runJob(d.jobs[`s${i}`], { runHint: run });
      expect(end).toMatchObject(expected);
      expect((await d.logs(run)).at(-1)).toContain(inLog);
      expect(JSON.stringify(end)).not.toContain("text of mine");
    }
    const status = await d.ledger.run(run, await d.readToken());
    expect(Object.values(status.steps).map((s) => s.shards[0]?.failures[0]?.exitClass)).toEqual([
      "program",
      "timeout",
      "program",
      "format",
      "program",
      "program",
      "hidden",
    ]);
  }, 120_000);
});

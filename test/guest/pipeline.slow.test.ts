/** The whole chain with real parts: sealed images, KBS, ledger, simulated guests, runner, verification. */
import { createNode } from "../../untrusted/node";
import { type Deployed, deploy } from "./support/deployed";

let d: Deployed;
afterEach(() => d?.close());

const SPLIT = `const fs=require("fs");
const lines=fs.readFileSync("/sealflow/in/rows","utf8").trim().split("\\n");
const {take}=JSON.parse(fs.readFileSync("/sealflow/params.json"));
fs.writeFileSync("/sealflow/out/part", lines.slice(0,take).join("\\n")+"\\n");
console.log("split done", process.env.SEALFLOW_SHARD);`;
const SUM = `const fs=require("fs");
const n=fs.readFileSync("/sealflow/in/part","utf8").trim().split("\\n").map(l=>JSON.parse(l).n).reduce((a,b)=>a+b,0);
fs.writeFileSync("/sealflow/out/sum", JSON.stringify({n}));`;

test("two steps", async () => {
  d = await deploy({
    datasets: { rows: { format: "jsonl", content: '{"n":1}\n{"n":2}\n{"n":3}\n' } },
    steps: {
      split: { files: { "main.js": SPLIT }, inputs: { rows: { dataset: "rows", format: "jsonl" } }, outputs: { part: { format: "jsonl" } } },
      sum: { files: { "main.js": SUM }, inputs: { part: { from: "split.part", format: "jsonl" } }, outputs: { sum: { format: "json" } } },
    },
  });
  const node = createNode({ home: d.home, connection: d.connection });
  const run = await d.openRun({ split: { take: 2 } });
  const events: unknown[] = [];
  for (const step of ["split", "sum"]) {
    const t = Date.now();
    const end = await node.runJob(d.jobs[step], { runHint: run, onEvent: (e) => events.push(`${step} ${e.stage} ${e.at - t}`) });
    console.log(end, events);
    console.log(await d.logs(run));
    expect(end).toMatchObject({ exitCode: 0, end: "committed" });
  }
  const { fetched } = await d.fetch(run);
  console.log(JSON.stringify(fetched, null, 1).slice(0, 3000));
  expect(fetched.report.ok).toBe(true);
}, 120_000);

import * as path from "node:path";
import { type Dev, startDev } from "../../relying-party/dev";
import { createProject, type Project } from "../support/project";

jest.setTimeout(300_000);

const PACK = path.resolve(__dirname, "../../plugin/policy-pack");
const PROGRAM = `
const { ConfidentialPipeline, dataset, image, localEnvironment, pipeline } = require("sealflow");
const p = pipeline("spam");
const rows = p.input("rows", "jsonl");
const count = p.step("count", { image: image.folder("./count"), command: ["node", "/app/count.js"],
  trustProgram: "tried out on a laptop", inputs: { rows }, outputs: { report: "json" } });
p.release({ report: count.report });
new ConfidentialPipeline("spam", { spec: p.toJSON(), inputs: { rows: dataset.file("rows.jsonl") },
  environment: localEnvironment() });
`;

let project: Project;
let dev: Dev;
beforeAll(async () => {
  project = createProject(PROGRAM);
  project.write("count/count.js", "// counts\n");
  project.write("rows.jsonl", "{}\n");
  dev = await startDev({ home: project.home, log: () => {} });
});
afterAll(async () => {
  await dev.close();
  project.remove();
});

it("a production stack is refused in its first preview, with every reason, though values are not known yet", async () => {
  await project.ok(["stack", "init", "prod"]);
  const { code, stdout, stderr } = await project.pulumi(["preview", "-s", "prod", "--policy-pack", PACK]);
  expect(code).not.toBe(0);
  const said = (stdout + stderr).replace(/\s+/g, " ");
  expect(said).toContain("sealflow-no-waivers-in-production");
  expect(said).toContain("spam-count: trustProgram: the step's program runs beside the runner");
  expect(said).toContain("sealflow-confidential-runtime-class");
  expect(said).toContain('tee: "sample" is the simulated guest');
  expect(said).not.toContain("can't be known during preview");
});

it("the same program passes as a stack for development", async () => {
  await project.ok(["stack", "init", "dev"]);
  const said = await project.ok(["preview", "-s", "dev", "--policy-pack", PACK]);
  expect(said).toContain("sealflow");
});

it("waivers of components are seen, too", async () => {
  project.write(
    "stacks/index.js",
    `
const { BareMetal } = require("sealflow/kubernetes");
const stock = "no image of our own yet";
const platform = new BareMetal("hosts", { tee: "snp", guestImagePolicy: "stock", acknowledgeStockGuestImage: stock });
exports.runtimeClass = platform.runtimeClass;
`,
  );
  const { code, stdout, stderr } = await project.pulumi(["preview", "-s", "prod", "--policy-pack", PACK]);
  const said = (stdout + stderr).replace(/\s+/g, " ");
  expect(said).toContain("hosts: acknowledgeStockGuestImage: a weakness of the platform is accepted");
  expect(code).not.toBe(0);
}, 120_000);

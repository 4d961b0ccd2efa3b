/** What importing an entry of the package loads, and what that costs. In processes of their own: jest loads by itself. */
import { spawnSync } from "node:child_process";
import * as path from "node:path";

const ROOT = path.resolve(__dirname, "../../..");
const HOOK = path.join(ROOT, "test/support/typescript.js");
const SDKS = ["@pulumi/azure-native", "@pulumi/aws", "@pulumi/kubernetes"];

function load(entry: string): { sdks: string[]; cpuSeconds: number } {
  const script = `
    require(${JSON.stringify(path.join(ROOT, entry))});
    const loaded = Object.keys(require.cache).map((file) => file.split("node_modules/").pop());
    const sdks = ${JSON.stringify(SDKS)}.filter((sdk) => loaded.some((file) => file.startsWith(sdk + "/")));
    const { user, system } = process.cpuUsage();
    console.log(JSON.stringify({ sdks, cpuSeconds: (user + system) / 1e6 }));`;
  const { stdout, stderr } = spawnSync(process.execPath, ["--require", HOOK, "-e", script], { encoding: "utf8" });
  if (stdout === "") throw new Error(stderr);
  return JSON.parse(stdout);
}

test("`sealflow` alone loads no cloud's SDK and no Kubernetes", () => {
  expect(load("index.ts").sdks).toEqual([]);
});

// Processor time, because a busy machine says nothing about the program; 2.5 s is the limit for starting one.
test.each([
  ["components/azure.ts", ["@pulumi/azure-native"]],
  ["components/aws.ts", ["@pulumi/aws"]],
  ["components/kubernetes.ts", ["@pulumi/kubernetes"]],
])("%s loads its own SDK and no other, in time", (entry, own) => {
  const { sdks, cpuSeconds } = load(entry);
  expect(sdks).toEqual(own);
  expect(cpuSeconds).toBeLessThanOrEqual(2.5);
});

/** The lines of a sweep, run by a shell with commands of clouds that work on the stand-ins' resources. */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { sweepCommands } from "../../../model/platforms";
import { leakPodInstance } from "../../support/cloud-providers/aws";
import { leakPodVm, SUBSCRIPTION } from "../../support/cloud-providers/azure";
import { Store } from "../../support/cloud-providers/store";

let dir: string;
const tag = { key: "sealflow-platform", value: "it's/dev/cloud" };
const tags = { [tag.key]: tag.value };
const GROUP = `/subscriptions/${SUBSCRIPTION}/resourceGroups/guests`;

beforeEach(() => {
  dir = mkdtempSync(path.join(tmpdir(), "sealflow-sweep-"));
  mkdirSync(path.join(dir, "bin"));
  const commands = path.resolve(__dirname, "../../support/cloud-commands.js");
  for (const name of ["az", "aws"]) symlinkSync(commands, path.join(dir, "bin", name));
});
afterEach(() => rmSync(dir, { recursive: true }));

const run = (lines: readonly string[]): string =>
  lines
    .map((line) =>
      execFileSync("sh", ["-c", line], {
        encoding: "utf8",
        env: { PATH: `${path.join(dir, "bin")}:${process.env.PATH}`, SEALFLOW_STAND_IN_CLOUDS: dir },
      }),
    )
    .join("");

test("AWS: instances with the tag are listed, then ended; another platform's stay", () => {
  const store = new Store(path.join(dir, "aws"));
  leakPodInstance(store, "subnet-1", tags);
  const other = { [tag.key]: "project/dev/other" };
  store.put({ id: "i-other", type: "AWS::EC2::Instance", name: "", inputs: { tags: other }, outputs: {} });
  const sweep = sweepCommands({ cloud: "aws", region: "us-east-2", tag });
  expect(run(sweep.list).trim()).toBe("i-0123456789abcdef0");
  run(sweep.delete);
  expect(store.all().map(({ id }) => id)).toEqual(["i-other"]);
  expect(run(sweep.list).trim()).toBe("");
  run(sweep.delete); // nothing to end is no error
});

test("Azure: VMs, then what they leave; only of the guests' group and with the tag", () => {
  const store = new Store(path.join(dir, "azure-native"));
  leakPodVm(store, GROUP, `${GROUP}/subnet`, { [tag.key]: "its/dev/cloud" });
  const id = `${GROUP}/providers/Microsoft.Compute/disks/lost`;
  store.put({
    id,
    type: "Microsoft.Compute/disks",
    name: "",
    inputs: { tags: { [tag.key]: "its/dev/cloud" } },
    outputs: {},
  });
  const elsewhere = `/subscriptions/${SUBSCRIPTION}/resourceGroups/other/providers/Microsoft.Compute/virtualMachines/vm`;
  const theirs = { tags: { [tag.key]: "its/dev/cloud" } };
  store.put({ id: elsewhere, type: "Microsoft.Compute/virtualMachines", name: "", inputs: theirs, outputs: {} });
  const own = { key: tag.key, value: "its/dev/cloud" };
  const sweep = sweepCommands({ cloud: "azure", subscriptionId: SUBSCRIPTION, resourceGroup: "guests", tag: own });
  expect(run(sweep.list).trim().split("\n")).toHaveLength(3);
  expect(store.all()).toHaveLength(4);
  run(sweep.delete);
  expect(store.all().map((resource) => resource.id)).toEqual([elsewhere]);
});

#!/usr/bin/env node
/**
 * The commands `az` and `aws`, as far as a sweep and a kubeconfig use them, on the resources of the stand-in clouds. Which
 * of them is told by the name it is called by. What it does not know fails, so that no other call goes unnoticed.
 */
const { readFileSync, writeFileSync } = require("node:fs");
const path = require("node:path");

const [name, args] = [path.basename(process.argv[1]), process.argv.slice(2)];
const file = path.join(process.env.SEALFLOW_STAND_IN_CLOUDS, name === "az" ? "azure-native" : "aws", "resources.json");
const all = () => Object.values(JSON.parse(readFileSync(file, "utf8")));
const after = (option) => args[args.indexOf(option) + 1];
const idsAfter = (option) => args.slice(args.indexOf(option) + 1).filter((word) => !word.startsWith("--"));

function remove(ids) {
  const left = all().filter(({ id }) => !ids.includes(id));
  writeFileSync(file, JSON.stringify(Object.fromEntries(left.map((resource) => [resource.id, resource]))));
}

const AZURE_TYPES = {
  vm: "Microsoft.Compute/virtualMachines",
  "network nic": "Microsoft.Network/networkInterfaces",
  disk: "Microsoft.Compute/disks",
};

function az() {
  const kind = Object.keys(AZURE_TYPES).find((words) => args.join(" ").startsWith(`${words} `));
  const verb = args[kind?.split(" ").length ?? 0];
  if (kind !== undefined && verb === "list") {
    const [, key, value] = /^\[\?tags\."([^"]+)"=='([^']+)'\]\.id$/.exec(after("--query")) ?? [];
    const inside = `/resourceGroups/${after("--resource-group")}/`;
    const found = all().filter(
      ({ id, type, inputs }) => type === AZURE_TYPES[kind] && id.includes(inside) && inputs.tags?.[key] === value,
    );
    return found.map(({ id }) => id).join("\n");
  }
  if (kind !== undefined && verb === "delete") {
    const ids = idsAfter("--ids");
    // A VM takes its network interface along.
    const along = all().flatMap(({ id, inputs }) => (ids.includes(id) ? (inputs.networkInterface ?? []) : []));
    remove([...ids, ...along]);
    return "";
  }
  throw new Error(`az: unknown call: ${args.join(" ")}`);
}

function aws() {
  const [service, verb] = args;
  if (service === "eks" && verb === "get-token") {
    const status = { token: process.env.SEALFLOW_TEST_CLUSTER_TOKEN };
    return JSON.stringify({ apiVersion: "client.authentication.k8s.io/v1beta1", kind: "ExecCredential", status });
  }
  if (service === "ec2" && verb === "describe-instances") {
    const [, key, value] = /Name=tag:([^,]+),Values=(\S+)/.exec(after("--filters")) ?? [];
    const found = all().filter(({ type, inputs }) => type === "AWS::EC2::Instance" && inputs.tags?.[key] === value);
    return found.map(({ id }) => id).join("\t");
  }
  if (service === "ec2" && verb === "terminate-instances") {
    remove(idsAfter("--instance-ids"));
    return "";
  }
  if (service === "ec2" && verb === "wait") return "";
  throw new Error(`aws: unknown call: ${args.join(" ")}`);
}

console.log(name === "az" ? az() : aws());

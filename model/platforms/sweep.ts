/**
 * Commands that find and delete what a platform's guests left behind: VMs whose adaptor died before it could delete them.
 * They hold the guests' subnet, so a network cannot be deleted before them, and they are paid for.
 */

export interface AzureSweep {
  readonly cloud: "azure";
  readonly subscriptionId: string;
  /** Of the guests. */
  readonly resourceGroup: string;
  readonly tag: { readonly key: string; readonly value: string };
}

export interface AwsSweep {
  readonly cloud: "aws";
  readonly region: string;
  readonly tag: { readonly key: string; readonly value: string };
}

/** For a POSIX shell: nothing in the text is expanded. */
const quoted = (text: string): string => `'${text.replace(/'/g, `'\\''`)}'`;

/** Lines for a POSIX shell, to be run in order. */
export interface Sweep {
  /** Print ids, and change nothing. */
  readonly list: readonly string[];
  /** Delete what is listed: nothing that does not carry the tag. */
  readonly delete: readonly string[];
}

export function sweepCommands(sweep: AzureSweep | AwsSweep): Sweep {
  return sweep.cloud === "azure" ? azure(sweep) : aws(sweep);
}

/** VMs first: network interfaces and disks of a VM are deleted with it, and cannot be before. */
const AZURE_KINDS = ["vm", "network nic", "disk"];

function azure({ subscriptionId, resourceGroup, tag }: AzureSweep): Sweep {
  const where = `--subscription ${quoted(subscriptionId)} --resource-group ${quoted(resourceGroup)}`;
  const query = `--query ${quoted(`[?tags.${JSON.stringify(tag.key)}==${raw(tag.value)}].id`)} --output tsv`;
  const list = (kind: string): string => `az ${kind} list ${where} ${query}`;
  return {
    list: AZURE_KINDS.map(list),
    delete: AZURE_KINDS.map((kind) => {
      const yes = kind === "network nic" ? "" : " --yes";
      return `ids=$(${list(kind)}) && { [ -z "$ids" ] || az ${kind} delete${yes} --ids $ids; }`;
    }),
  };
}

/** A raw string of JMESPath. */
const raw = (text: string): string => `'${text.replace(/\\/g, "\\\\").replace(/'/g, "\\'")}'`;

function aws({ region, tag }: AwsSweep): Sweep {
  const filters = [
    `Name=tag:${tag.key},Values=${tag.value}`,
    "Name=instance-state-name,Values=pending,running,stopping,stopped",
  ];
  const ec2 = (call: string): string => `aws ec2 ${call} --region ${quoted(region)}`;
  const query = `--query ${quoted("Reservations[].Instances[].InstanceId")} --output text`;
  const list = `${ec2("describe-instances")} --filters ${filters.map(quoted).join(" ")} ${query}`;
  const end = `${ec2("terminate-instances")} --instance-ids $ids && ${ec2("wait instance-terminated")} --instance-ids $ids`;
  return { list: [list], delete: [`ids=$(${list}) && { [ -z "$ids" ] || { ${end}; }; }`] };
}

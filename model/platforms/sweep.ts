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

/** @returns lines for a shell, in order: list, then delete. Nothing is deleted that does not carry the tag. */
export function sweepCommands(sweep: AzureSweep | AwsSweep): string[] {
  return sweep.cloud === "azure" ? azure(sweep) : aws(sweep);
}

function azure({ subscriptionId, resourceGroup, tag }: AzureSweep): string[] {
  const where = `--subscription ${quoted(subscriptionId)} --resource-group ${quoted(resourceGroup)}`;
  const query = `--query ${quoted(`[?tags.${JSON.stringify(tag.key)}==${raw(tag.value)}].id`)} --output tsv`;
  // VMs first: network interfaces and disks of a VM are deleted with it, and cannot be before.
  return [
    `az vm list ${where} ${query}`,
    ...["vm", "network nic", "disk"].map((kind) => {
      const yes = kind === "network nic" ? "" : " --yes";
      return `az ${kind} list ${where} ${query} | xargs -r az ${kind} delete${yes} --ids`;
    }),
  ];
}

/** A raw string of JMESPath. */
const raw = (text: string): string => `'${text.replace(/\\/g, "\\\\").replace(/'/g, "\\'")}'`;

function aws({ region, tag }: AwsSweep): string[] {
  const filters = [
    `Name=tag:${tag.key},Values=${tag.value}`,
    "Name=instance-state-name,Values=pending,running,stopping,stopped",
  ];
  const list = `aws ec2 describe-instances --region ${quoted(region)} --filters ${filters.map(quoted).join(" ")} --query ${quoted("Reservations[].Instances[].InstanceId")} --output text`;
  return [
    list,
    `ids=$(${list}); [ -z "$ids" ] || { aws ec2 terminate-instances --region ${quoted(region)} --instance-ids $ids && aws ec2 wait instance-terminated --region ${quoted(region)} --instance-ids $ids; }`,
  ];
}

/** What would undo the guarantees: unbound initdata, images that boot open, debug policies, plain VMs; disks and runtime class. */
import type { PlatformArgs } from "../args";
import { stockImageProblem, stockImageWarning } from "../guest-image";
import { INITDATA_CARRIERS } from "../initdata";
import type { Problems } from "../problems";
import type { PlatformRow } from "../types";

export function checkTrust(row: PlatformRow, args: PlatformArgs, out: Problems): void {
  if (args.debugPolicy === true && row.confidential) {
    out.error(
      "DEBUG",
      "debugPolicy",
      "a debug policy lets the control plane into the guest; use it on local, and `sealflow logs` here",
    );
  }
  if (args.plainVms === true) {
    out.error("DEBUG", "plainVms", "DISABLECVM makes VMs without a TEE; remove it, or use local to try things out");
  }
  checkInitdata(row, args, out);
  if (row.confidential) checkStockImage(row, args, out);
}

function checkInitdata(row: PlatformRow, args: PlatformArgs, out: Problems): void {
  if (row.initdata === null) return;
  const { carrier, limit } = INITDATA_CARRIERS[row.initdata.carrier];
  const size = args.initdataCharacters;
  if (size !== undefined && size > limit) {
    out.error(
      "INITDATA",
      "initdataCharacters",
      `${size} characters, ${carrier} takes ${limit}; shorten the CA bundle of the key broker to one root`,
    );
  }
  const acknowledged = args.acknowledgeUnboundInitdata === true;
  const at = "acknowledgeUnboundInitdata";
  if (!row.confidential || row.initdata.bound !== "none") {
    if (acknowledged)
      out.error("INITDATA", at, "initdata is bound here, so there is nothing to acknowledge; remove it");
  } else if (!acknowledged) {
    out.error(
      "INITDATA",
      at,
      "evidence of this platform says nothing about initdata, so whoever starts VMs can start another program with your keys; use azure-peer-pods-snp, or say acknowledgeUnboundInitdata: true",
    );
  } else {
    out.warn(
      "INITDATA",
      at,
      "initdata is not bound to hardware: the cloud's operator is trusted not to start other guests. Accepted by the program",
    );
  }
}

function checkStockImage(
  row: PlatformRow,
  { image, acknowledgeStockGuestImage: reason }: PlatformArgs,
  out: Problems,
): void {
  const policy = image?.defaultPolicy;
  if (policy === undefined) {
    out.error(
      "GUEST_IMAGE",
      "image.defaultPolicy",
      'required: "deny" when the image refuses everything until initdata is applied, else "stock"',
    );
    return;
  }
  const problem = stockImageProblem(policy, reason);
  if (problem !== undefined) out.error("GUEST_IMAGE", "image.defaultPolicy", problem);
  else if (policy === "stock")
    out.warn("GUEST_IMAGE", "image.defaultPolicy", stockImageWarning(row.tee ?? "", reason ?? ""));
}

/** Largest root disks, GiB: Azure OS disk, EBS volume. */
const LARGEST = { azure: 4095, aws: 16_384 } as const;

export function checkDisk(row: PlatformRow, { disk }: PlatformArgs, out: Problems): void {
  if (disk === undefined) return;
  if (disk.persistentVolumes === true) {
    out.error(
      "DISK",
      "disk.persistentVolumes",
      "the host reads and rolls back volumes of the cluster; use inputs and outputs, which are encrypted",
    );
  }
  if (row.model !== "peer-pods") return;
  if (row.cloud === "azure" && disk.type !== undefined && disk.type !== "Premium_LRS") {
    out.error("DISK", "disk.type", `the adaptor makes Premium_LRS disks only, found ${disk.type}; remove it`);
  }
  if (row.cloud === "aws" && disk.type !== undefined) {
    out.error(
      "DISK",
      "disk.type",
      `the adaptor takes no disk type on AWS, found ${disk.type}; remove it, the AMI decides`,
    );
  }
  const { rootGiB } = disk;
  if (rootGiB === undefined) return;
  const most = row.cloud === "aws" ? LARGEST.aws : LARGEST.azure;
  if (!Number.isInteger(rootGiB) || rootGiB < 0 || rootGiB > most) {
    out.error(
      "DISK",
      "disk.rootGiB",
      `${rootGiB} is no size; give whole GiB up to ${most}, or leave it out for the image's own`,
    );
  } else if (rootGiB > 0 && rootGiB < 4) {
    out.error("DISK", "disk.rootGiB", `${rootGiB} GiB holds no guest image; leave it out for the image's own size`);
  }
}

/** Region and guest image. */
import { didYouMean, listed } from "../../suggest";
import type { PlatformArgs } from "../args";
import { familyOf } from "../families";
import type { Problems } from "../problems";
import type { PlatformRow } from "../types";

const FORM = {
  azure: { region: /^[a-z]+[0-9]?(euap)?$/, words: "lower case without spaces, such as eastus" },
  aws: { region: /^[a-z]{2}(-[a-z]+)+-[0-9]$/, words: "such as us-east-2" },
} as const;

type Provider = keyof typeof FORM;
const isCloud = (cloud: string): cloud is Provider => cloud in FORM;

export function checkRegion(row: PlatformRow, { region }: PlatformArgs, out: Problems): void {
  if (!isCloud(row.cloud) || region === null) return;
  const form = FORM[row.cloud];
  if (region === undefined || region === "") {
    out.error("REGION", "region", `required: where the guests run, ${form.words}`);
    return;
  }
  const other: Provider = row.cloud === "azure" ? "aws" : "azure";
  if (!form.region.test(region)) {
    const theirs = FORM[other].region.test(region) ? ` (it is a region of ${other})` : "";
    const plain = region.toLowerCase().replace(/[^a-z0-9]/g, "");
    const meant =
      row.cloud === "azure" && theirs === "" && FORM.azure.region.test(plain) ? ` Did you mean "${plain}"?` : "";
    out.error("REGION", "region", `"${region}" is no region of ${row.cloud}${theirs}: ${form.words}.${meant}`);
    return;
  }
  if (row.regions.length > 0 && !row.regions.includes(region)) {
    out.warn(
      "REGION",
      "region",
      `${region} is not known to have ${row.hardware} sizes of this platform (known: ${listed(row.regions)}).${didYouMean(region, row.regions)} The list grows: check sizes and quota before you deploy`,
    );
  }
}

const ARM_IMAGE =
  /^\/subscriptions\/[^/]+\/resourceGroups\/[^/]+\/providers\/Microsoft\.Compute\/galleries\/[^/]+\/images\/[^/]+\/versions\/([^/]+)$/i;
const COMMUNITY_IMAGE = /^\/CommunityGalleries\/([^/]+)\/Images\/[^/]+\/Versions\/([^/]+)$/i;
const AMI = /^ami-([0-9a-f]{8}|[0-9a-f]{17})$/;

/** @param release of Cloud API Adaptor that the chart installs. */
export function checkImage(row: PlatformRow, args: PlatformArgs, release: string, out: Problems): void {
  // A node pool on AKS takes the image that goes with its operating system.
  if (!isCloud(row.cloud) || (row.model !== "peer-pods" && row.platform !== "eks-confidential-nodes")) return;
  const { image } = args;
  if (image?.id === undefined || image.id === "") {
    out.error(
      "IMAGE",
      "image.id",
      row.model === "peer-pods"
        ? "required: nobody publishes guest images that last. Build one from cloud-api-adaptor's podvm-mkosi and give its id"
        : "required: the id of an AMI for EKS nodes that boots by UEFI",
    );
  } else if (image.id !== null) checkImageId(row, image.id, out);
  if (row.cloud === "aws" && image?.bootMode === "legacy-bios") {
    out.error(
      "IMAGE",
      "image.bootMode",
      "SNP needs uefi or uefi-preferred, found legacy-bios; register the AMI again with boot mode uefi",
    );
  }
  if (row.model !== "peer-pods") return;
  const version = image?.adaptorVersion;
  if (typeof version === "string" && version.replace(/^v/, "") !== release) {
    out.error(
      "IMAGE",
      "image.adaptorVersion",
      `the image is of cloud-api-adaptor ${version}, the chart installs ${release}; build the image from v${release}`,
    );
  }
  const nvme = [args.instances?.default, ...(args.instances?.allowed ?? [])].find((s) => s && familyOf(s)?.nvmeOnly);
  if (row.cloud === "azure" && nvme !== undefined && image?.nvme === false) {
    out.error(
      "IMAGE",
      "image.nvme",
      `${nvme} has disks by NVMe only, and the image's definition does not say NVMe; add the feature DiskControllerTypes "SCSI, NVMe", or take a v5 size`,
    );
  }
}

function checkImageId(row: PlatformRow, id: string, out: Problems): void {
  const at = "image.id";
  if (row.cloud === "aws") {
    if (!AMI.test(id))
      out.error(
        "IMAGE",
        at,
        `"${id.slice(0, 80)}" is no AMI id; give one such as ami-0123456789abcdef0, never a name or a search`,
      );
    return;
  }
  const [, gallery, communityVersion] = COMMUNITY_IMAGE.exec(id) ?? [];
  const version = communityVersion ?? ARM_IMAGE.exec(id)?.[1];
  if (version === undefined) {
    out.error(
      "IMAGE",
      at,
      `"${id.slice(0, 80)}" is no image version; give /subscriptions/…/galleries/<gallery>/images/<definition>/versions/<version>`,
    );
    return;
  }
  if (version.toLowerCase() === "latest") {
    out.error("IMAGE", at, "version latest changes under you, and reference values with it; give the version's number");
    return;
  }
  if (gallery?.startsWith("cocopodvm-")) {
    out.error(
      "IMAGE",
      at,
      "nightly images of the upstream gallery are deleted after days; copy the version into your own gallery",
    );
    return;
  }
  if (gallery !== undefined) {
    out.warn(
      "IMAGE",
      at,
      "community galleries get deleted (upstream stopped publishing in June 2026); copy the version into your own gallery",
    );
  }
}

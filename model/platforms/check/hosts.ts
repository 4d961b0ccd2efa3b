/** Bare metal: what is known of hosts, and the runtime class of any platform. */
import { listed } from "../../suggest";
import type { PlatformArgs } from "../args";
import type { Problems } from "../problems";
import { REFUSED } from "../refused";
import type { PlatformRow } from "../types";
import { isBelow, versionOf } from "./version";

export interface HostFloor {
  readonly kernel: string;
  readonly label: string;
}

/** Source: confidentialcontainers.org, prerequisites/hardware; labels: kata-deploy's node-feature-rules. */
export const HOST_FLOORS: Readonly<Record<"SEV-SNP" | "TDX", HostFloor>> = {
  "SEV-SNP": { kernel: "6.16.1", label: "amd.feature.node.kubernetes.io/snp" },
  TDX: { kernel: "6.17", label: "intel.feature.node.kubernetes.io/tdx" },
};
const SEV_FIRMWARE = "1.55";
const GPU_LABEL = "nvidia.com/cc.ready.state";

export function checkHosts(row: PlatformRow, { hosts }: PlatformArgs, out: Problems): void {
  if (row.cloud !== "baremetal" || hosts === undefined) return;
  if (row.hardware !== "SEV-SNP" && row.hardware !== "TDX") return;
  const floor = HOST_FLOORS[row.hardware];
  if (hosts.arch !== undefined && hosts.arch !== "amd64") {
    out.error("HOST", "hosts.arch", `${hosts.arch} has no ${row.hardware}; use amd64 hosts`);
  }
  below(
    out,
    "hosts.kernel",
    hosts.kernel,
    floor.kernel,
    `kernel of a ${row.hardware} host`,
    "upgrade the host's kernel",
  );
  if (row.hardware === "SEV-SNP") {
    below(
      out,
      "hosts.sevFirmware",
      hosts.sevFirmware,
      SEV_FIRMWARE,
      "SEV firmware",
      "update it: reports need version 3",
    );
  }
  below(out, "hosts.containerd", hosts.containerd, "1.7", "containerd", "upgrade it, best to 2.3");
  const containerd = versionOf(hosts.containerd ?? "");
  if (containerd !== undefined && !isBelow(containerd, [1, 7]) && isBelow(containerd, [2, 3])) {
    out.warn(
      "HOST",
      "hosts.containerd",
      `containerd ${hosts.containerd} has known trouble with images pulled in guests; upgrade to 2.3`,
    );
  }
  if (hosts.cores !== undefined && hosts.cores < 4) {
    out.error("HOST", "hosts.cores", `${hosts.cores} cores; a host needs 4 and more`);
  }
  if (hosts.memoryGiB !== undefined && hosts.memoryGiB < 8) {
    out.error("HOST", "hosts.memoryGiB", `${hosts.memoryGiB} GiB; a host needs 8 and more`);
  }
  checkLabels(row, floor.label, hosts.labels, out);
}

function checkLabels(
  row: PlatformRow,
  tee: string,
  labels: Readonly<Record<string, string>> | undefined,
  out: Problems,
): void {
  if (labels === undefined) return;
  if (labels[tee] !== "true") {
    out.error(
      "LABEL",
      "hosts.labels",
      `no host has ${tee}=true; install Node Feature Discovery with kata-deploy's rules, and switch ${row.hardware} on in the BIOS`,
    );
  }
  if (row.gpu === "nvidia" && labels[GPU_LABEL] !== "true") {
    out.error(
      "LABEL",
      "hosts.labels",
      `no host has ${GPU_LABEL}=true; put all its GPUs into confidential mode (nvidia.com/cc.mode=on)`,
    );
  }
}

function below(
  out: Problems,
  at: string,
  found: string | undefined,
  floor: string,
  what: string,
  remedy: string,
): void {
  if (found === undefined) return;
  const version = versionOf(found);
  if (version === undefined) out.error("HOST", at, `"${found}" is no version; write it with numbers, such as ${floor}`);
  else if (isBelow(version, versionOf(floor) as readonly number[])) {
    out.error("HOST", at, `${what} is ${found}, needed is ${floor} or newer; ${remedy}`);
  }
}

export function checkRuntimeClass(row: PlatformRow, { runtimeClass }: PlatformArgs, out: Problems): void {
  if (runtimeClass === undefined || row.runtimeClasses.includes(runtimeClass)) return;
  const refused = REFUSED.find(({ runtimeClasses }) => runtimeClasses.includes(runtimeClass));
  const why = refused === undefined ? "" : `: ${refused.reason}`;
  const shown = runtimeClass === "" ? "no runtime class" : runtimeClass;
  const use = row.runtimeClasses.length === 0 ? "remove it" : `use ${listed(row.runtimeClasses)}`;
  out.error("RUNTIME_CLASS", "runtimeClass", `${shown} is not of this platform${why}; ${use}`);
}

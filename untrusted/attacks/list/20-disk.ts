import { decideAll } from "../support/guest-requests";
import type { Attack } from "../types";

/** Scratch on a disk could be rolled back under the running program; the policy admits guest memory only. */
export const disk: Attack = {
  number: 20,
  title: "scratch on a disk of the host",
  power: "host",
  expected: ["POLICY"],
  mount: async (world) => {
    const scratch = (step: Record<string, { driver: string }[]>) =>
      step.storages?.find(({ driver }) => driver === "ephemeral") as Record<string, unknown>;
    return decideAll(world, {
      "a shared folder": ({ step }) => {
        const mount = step.OCI.Mounts.find((m: { destination: string }) => m.destination === "/sealflow/scratch");
        mount.source = "/run/kata-containers/shared/containers/passthrough/scratch";
        step.storages.pop();
      },
      "a block device": ({ step }) => {
        Object.assign(scratch(step), { driver: "blk", source: "0001:00", fstype: "ext4" });
      },
      "a folder of the guest's root": ({ step }) => {
        Object.assign(scratch(step), { driver: "local", source: "local", fstype: "local" });
      },
      "none at all": ({ step }) => {
        step.OCI.Mounts = step.OCI.Mounts.filter((m: { destination: string }) => m.destination !== "/sealflow/scratch");
        step.storages.pop();
      },
    });
  },
};

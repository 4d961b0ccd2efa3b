import { decideAll } from "../support/guest-requests";
import type { Attack } from "../types";

export const secondPull: Attack = {
  number: 4,
  title: "a second image over the root, or a storage that nobody declared",
  power: "host",
  expected: ["POLICY"],
  mount: async (world) =>
    decideAll(world, {
      "a second pull to the same place": ({ step }) => {
        step.storages.push({ ...step.storages[0], source: "evil.example/x@sha256:".padEnd(86, "0") });
      },
      "the pinned image twice": ({ step }) => {
        step.storages.push(step.storages[0]);
      },
      "the pull to another place": ({ step }) => {
        step.storages[0].mount_point = "/run/kata-containers/elsewhere/rootfs";
      },
      "a block device over /sealflow": ({ step }) => {
        step.storages.push({ ...step.storages[1], driver: "blk", source: "0001:00", mount_point: "/sealflow" });
      },
      "an overlay as a further storage": ({ step }) => {
        step.storages.push({ ...step.storages[1], driver: "overlayfs", fstype: "overlay" });
      },
    }),
};

import { decideAll } from "../support/guest-requests";
import type { Attack } from "../types";

const SHARED = "/run/kata-containers/shared/containers/";

export const hostRootfs: Attack = {
  number: 3,
  title: "root file system from bytes that the host copied in",
  power: "host",
  expected: ["POLICY"],
  mount: async (world) =>
    decideAll(world, {
      "no image is pulled": ({ step }) => {
        step.storages = step.storages.filter((s: { driver: string }) => s.driver !== "image_guest_pull");
      },
      "the root is a folder that the host shares": ({ step }) => {
        step.storages = [];
        step.OCI.Root.Path = `${SHARED}${step.container_id}/rootfs`;
      },
      "the pull is a bind mount": ({ step }) => {
        Object.assign(step.storages[0], { driver: "local", fstype: "bind", source: `${SHARED}passthrough/evil` });
      },
      "a program is copied in first": ({ files, step }) => {
        files.push({ ...files[0], path: `${SHARED}${step.container_id}-00000000000000ff-node`, file_mode: 0o100755 });
      },
      "a link is copied in first": ({ files }) => {
        Object.assign(files[0] ?? {}, { file_type: "Symlink", symlink_target: "/sealflow/runner.js" });
      },
    }),
};

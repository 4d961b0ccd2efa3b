import { decideAll } from "../support/guest-requests";
import type { Attack } from "../types";

export const sandboxStorage: Attack = {
  number: 5,
  title: "a storage of the sandbox lies where the container's root will be",
  power: "host",
  expected: ["POLICY"],
  mount: async (world) =>
    decideAll(world, {
      "tmpfs at the container's root": ({ sandbox, step }) => {
        sandbox.storages.push({
          ...sandbox.storages[0],
          mount_point: `/run/kata-containers/${step.container_id}/rootfs`,
        });
      },
      "instead of shared memory": ({ sandbox, step }) => {
        sandbox.storages[0].mount_point = `/run/kata-containers/${step.container_id}/rootfs`;
      },
      "a pull by the sandbox": ({ sandbox, step }) => {
        sandbox.storages = [step.storages[0]];
      },
      "a kernel module": ({ sandbox }) => {
        sandbox.kernel_modules = [{ name: "evil", parameters: [] }];
      },
    }),
};

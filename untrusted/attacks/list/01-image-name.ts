import { decideAll } from "../support/guest-requests";
import type { Attack } from "../types";

const EVIL = "evil.example/step:latest";

/** A tag in one place and the admitted digest in the other: whichever a reader takes, it must be the pinned image. */
export const imageName: Attack = {
  number: 1,
  title: "image named twice, differently",
  power: "host",
  expected: ["POLICY", "PINNED_IMAGE"],
  mount: async (world) => {
    const name = "io.kubernetes.cri.image-name";
    const pulled = decideAll(world, {
      "the annotation names another image, the storage the pinned one": ({ step }) => {
        step.OCI.Annotations[name] = EVIL;
      },
    }).map(({ tried, ended }) => ({
      tried,
      // The agent pulls what the storage names; the policy has pinned that.
      ended: ended === "ADMITTED" ? "PINNED_IMAGE" : ended,
    }));
    return [
      ...pulled,
      ...decideAll(world, {
        "the annotation names the pinned image, the storage another": ({ step }) => {
          step.storages[0].source = EVIL;
        },
        "the metadata of the pull says that this is the pause container": ({ step }) => {
          step.storages[0].driver_options[0] = step.storages[0].driver_options[0].replace(
            '"io.kubernetes.cri.container-type":"container"',
            '"io.kubernetes.cri.container-type":"sandbox"',
          );
        },
      }),
    ];
  },
};

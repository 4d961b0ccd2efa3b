import { decideAll } from "../support/guest-requests";
import type { Attack } from "../types";

export const pullSource: Attack = {
  number: 2,
  title: "another image is pulled than the manifest names",
  power: "host",
  expected: ["POLICY"],
  mount: async (world) => {
    const other = world.order.find((step) => world.job(step).spec.template.spec.containers[0].image !== image(world));
    const tries = decideAll(world, {
      "the same name with another digest": ({ step }) => {
        step.storages[0].source = step.storages[0].source.replace(/[0-9a-f]{64}$/, "0".repeat(64));
      },
      "the digest in upper case": ({ step }) => {
        step.storages[0].source = step.storages[0].source.replace(/[0-9a-f]{64}$/, (d: string) => d.toUpperCase());
      },
      "a tag behind the name": ({ step }) => {
        step.storages[0].source = step.storages[0].source.replace("@", ":latest@");
      },
    });
    if (other === undefined) return tries;
    const job = world.job(world.target.consumer);
    job.spec.template.spec.containers[0].image = world.job(other).spec.template.spec.containers[0].image;
    return [...tries, { tried: "the manifest names another step's image", ended: (await world.guest(job)).code }];
  },
};

const image = (world: Parameters<Attack["mount"]>[0]): string =>
  world.job(world.target.consumer).spec.template.spec.containers[0].image;

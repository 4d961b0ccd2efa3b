import { INITDATA_ANNOTATION } from "../../../policy";
import { Impostor } from "../support/impostor";
import { initdataOf, KbsGuest, resourceOf } from "../support/kbs-guest";
import type { Attack } from "../types";

export const crossWiring: Attack = {
  number: 15,
  title: "one step started as another; one step's guest after another's keys",
  power: "control plane",
  expected: ["POLICY", "PolicyDeny", "PIPELINE_UNKNOWN"],
  mount: async (world) => {
    const { consumer, producer } = world.target;
    const neighbour = await world.neighbour();
    const swapped = world.job(consumer);
    swapped.spec.template.metadata.annotations[INITDATA_ANNOTATION] =
      world.job(producer).spec.template.metadata.annotations[INITDATA_ANNOTATION];
    const renamed = world.job(consumer);
    renamed.spec.template.spec.containers[0].env = world.job(producer).spec.template.spec.containers[0].env;
    const foreign = (neighbour.jobs.reader as ReturnType<typeof world.job>).spec.template.spec.containers[0];
    const foreignPath = foreign.env.find((e: { name: string }) => e.name === "SEALFLOW_RESOURCE").value;
    const own = initdataOf(world, consumer);
    const impostor = Impostor.of(world, await world.bundle(consumer));
    const run = await world.ready();
    return [
      { tried: "with the producer's initdata", ended: (await world.guest(swapped)).code },
      { tried: "with the producer's environment", ended: (await world.guest(renamed)).code },
      {
        tried: "its guest asks for the producer's bundle",
        ended: await new KbsGuest(world).fetch(resourceOf(world, producer), own),
      },
      { tried: "its guest asks for another owner's bundle", ended: await new KbsGuest(world).fetch(foreignPath, own) },
      {
        tried: "its guest asks for a path above its own",
        ended: await new KbsGuest(world).fetch(`${resourceOf(world, consumer)}/../x`, own),
      },
      { tried: "its key claims as the producer", ended: (await impostor.claim(run, { step: producer })).code },
      {
        tried: "its key claims for another pipeline",
        ended: (await impostor.claim(run, { pipelineUid: neighbour.descriptor.pipelineUid })).code,
      },
    ];
  },
};

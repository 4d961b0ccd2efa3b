import type { Attack, World } from "../types";

/** Starts a guest and takes it away when it waits. */
async function untilItWaits(world: World, step: string, run: string): Promise<string> {
  const stop = new AbortController();
  let seen = "";
  let stages = 0;
  const end = await world.guest(world.job(step), {
    run,
    signal: stop.signal,
    onStage: (stage) => {
      seen = stage;
      // The first is the node's own; the next is the runner's word that the ledger told it to wait.
      if (stage === "waiting" && ++stages > 1) stop.abort();
    },
  });
  return end.code === "STOPPED" && seen === "waiting" ? "WAITING" : end.code;
}

export const twice: Attack = {
  number: 13,
  title: "a step run early, twice, side by side, again after its commit",
  power: "control plane",
  expected: ["WAITING", "SUPERSEDED", "ONE_COMMIT"],
  mount: async (world) => {
    const { consumer } = world.target;
    await world.fresh();
    const early = await world.owner.openRun();
    const tries = [{ tried: "before its inputs are there", ended: await untilItWaits(world, consumer, early) }];

    const run = await world.ready();
    const twins = await Promise.all([1, 2].map(() => world.guest(world.job(consumer), { run })));
    const committed = twins.filter(({ code }) => code === "COMMITTED").length;
    tries.push({
      tried: `two at once (${twins.map(({ code }) => code).join(", ")})`,
      ended: committed <= 1 ? "ONE_COMMIT" : `${committed}_COMMITS`,
    });

    const done = await world.done();
    tries.push({
      tried: "again after its commit",
      ended: (await world.guest(world.job(consumer), { run: done })).code,
    });
    return tries;
  },
};

import type { Attack } from "../types";

/** Kills the guest as soon as it has work, again and again, as one would who waits for a result he likes. */
export const chosenRetry: Attack = {
  number: 30,
  title: "attempts killed until one ends as wanted",
  power: "host",
  expected: ["ATTEMPTS_EXHAUSTED", "NO_ATTEMPT"],
  mount: async (world) => {
    const { consumer } = world.target;
    const allowed = (world.descriptor.steps[consumer]?.limits.retryLimit ?? 0) + 1;
    const run = await world.ready();
    for (let attempt = 0; attempt < allowed; attempt++) {
      const stop = new AbortController();
      const end = await world.guest(world.job(consumer), {
        run,
        signal: stop.signal,
        onStage: (stage) => {
          if (stage === "running") stop.abort();
        },
      });
      if (end.code !== "STOPPED")
        throw new Error(`attempt ${attempt + 1} ended with ${end.code} before it could be killed`);
    }
    return [
      {
        tried: `one attempt more after ${allowed} killed`,
        ended: (await world.guest(world.job(consumer), { run })).code,
      },
      {
        tried: "what became of the run: it waits for those that are out",
        ended: (await world.owner.runState(run)) === "open" ? "NO_ATTEMPT" : "ENDED",
      },
    ];
  },
};

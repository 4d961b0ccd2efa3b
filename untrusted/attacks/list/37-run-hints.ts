import type { Attack } from "../types";

/** The hint chooses among the open runs of the guest's own version, and nothing else. */
export const runHints: Attack = {
  number: 37,
  title: "guests sent to another run, another pipeline's run, no run",
  power: "control plane",
  expected: ["CLAIM_REFUSED", "POLICY", "OTHER_OPEN_RUN"],
  mount: async (world) => {
    const { consumer } = world.target;
    const neighbour = await world.neighbour();
    const run = await world.ready();
    const foreign = await neighbour.openRun();
    const tries = [
      { tried: "another pipeline's run", ended: (await world.guest(world.job(consumer), { run: foreign })).code },
      {
        tried: "a run that does not exist",
        ended: (await world.guest(world.job(consumer), { run: "0".repeat(64) })).code,
      },
      { tried: "a hint of another form", ended: (await world.guest(world.job(consumer), { run: `${run}\nX=1` })).code },
      { tried: "a hint in upper case", ended: (await world.guest(world.job(consumer), { run: "A".repeat(64) })).code },
    ];
    const unhinted = await world.guest(world.job(consumer));
    tries.push({
      tried: "no hint: the guest works for an open run",
      ended: unhinted.code === "COMMITTED" ? "OTHER_OPEN_RUN" : unhinted.code,
    });
    return tries;
  },
};

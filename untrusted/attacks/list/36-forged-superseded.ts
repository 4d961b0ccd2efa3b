import { forgeClaims } from "../support/operator";
import type { Attack } from "../types";

/** Every guest is told that its work is done: the workflow engine sees exit code 0 everywhere. */
export const forgedSuperseded: Attack = {
  number: 36,
  title: "steps told that they are superseded, so that a run looks done",
  power: "ledger operator",
  expected: ["RECEIPT_MISSING", "open"],
  mount: async (world) => {
    const run = await world.ready();
    forgeClaims(world, ({ claim }) => ({ v: 1, claim, status: "superseded" }));
    const rest = world.order.filter((step) => !world.target.before.includes(step));
    for (const step of rest) {
      const { code } = await world.guest(world.job(step), { run });
      if (code !== "SUPERSEDED") throw new Error(`the step ended with ${code}, not with exit code 0`);
    }
    world.ledger.hostile = undefined;
    const found = await world.owner.fetch(run, `${await world.scratch()}/run`);
    return [
      { tried: "what the ledger's own log says of the run", ended: await world.owner.runState(run) },
      { tried: "what verification says of it", ended: found[0] ?? "VERIFIED" },
    ];
  },
};

import { answerWith, forgeClaims } from "../support/operator";
import type { Attack } from "../types";

/** Whether a step runs is decided by a bit in the receipt of another step, and by nobody's word. */
export const conditions: Attack = {
  number: 41,
  title: "conditions forged: a step told to run, or that it is skipped",
  power: "ledger operator",
  expected: ["CONDITION", "ANSWER", "RECEIPT_MISSING", "open"],
  mount: async (world) => {
    const tries = [];
    const borrowed = await answerWith(world, (go) => {
      const [input] = Object.values(go.inputs)[0] ?? [];
      if (!input) throw new Error("the consumer reads no edge");
      const { attempt, receipt, leaf, leafBytes, inclusion, consistency } = input;
      return { ...go, condition: { attempt, receipt, leaf, leafBytes, inclusion, consistency } };
    });
    tries.push({ tried: "another step's receipt as the proof of a condition", ended: borrowed.code });

    const run = await world.ready();
    forgeClaims(world, ({ claim }) => ({ v: 1, claim, status: "skipped" }));
    const rest = world.order.filter((step) => !world.target.before.includes(step));
    for (const step of rest) {
      const { code } = await world.guest(world.job(step), { run });
      if (code !== "SKIPPED") throw new Error(`the step ended with ${code}, not with exit code 0`);
    }
    world.ledger.hostile = undefined;
    const found = await world.owner.fetch(run, `${await world.scratch()}/run`);
    return [
      ...tries,
      {
        tried: "steps told that they are skipped: what the ledger's own log says",
        ended: await world.owner.runState(run),
      },
      { tried: "what verification says of it", ended: found[0] ?? "VERIFIED" },
    ];
  },
};

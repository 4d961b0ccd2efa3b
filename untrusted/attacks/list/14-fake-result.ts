import { Impostor } from "../support/impostor";
import { answerWith } from "../support/operator";
import type { Attack } from "../types";

/** A "cached" result: a genuine receipt by the same program for the same inputs, of another run. */
export const fakeResult: Attack = {
  number: 14,
  title: "a result of another run passed off as this one's",
  power: "ledger operator",
  expected: ["INPUT_RECEIPT"],
  mount: async (world) => {
    const { input, before, consumer } = world.target;
    await world.ready();
    const base = await world.save();
    const other = await world.owner.openRun();
    for (const step of before) await world.guest(world.job(step), { run: other });
    const { go: cached } = await Impostor.of(world, await world.bundle(consumer)).claimed(other);
    await world.restore(base);
    const [first] = cached.inputs[input] ?? [];
    if (!first) throw new Error("the other run gave its consumer no input");
    const statement = JSON.parse(Buffer.from(first.receipt.payload, "base64").toString("utf8"));
    const tries = [];
    for (const [tried, list] of Object.entries({
      "its receipt and object": () => [first],
      "its receipt with the run's name changed": (run: string) => {
        statement.predicate.run = run;
        const payload = Buffer.from(JSON.stringify(statement)).toString("base64");
        return [{ ...first, receipt: { ...first.receipt, payload } }];
      },
      "no receipt at all": () => [],
      "one object twice": () => [first, first],
    })) {
      const end = await answerWith(world, (go) => ({ ...go, inputs: { ...go.inputs, [input]: list(go.run) } }));
      tries.push({ tried, ended: end.code });
    }
    return tries;
  },
};

import type { Attack } from "../types";

/** The neighbour's reader is hostile: it looks for everything that is the runner's. */
export const program: Attack = {
  number: 22,
  title: "a step's program after the keys of its own guest",
  power: "step program",
  expected: ["NOTHING_FOUND"],
  mount: async (world) => {
    const { report } = await world.neighbour();
    if (Object.keys(report).length < 5) throw new Error("the hostile program did not report");
    return Object.entries(report).map(([tried, got]) => ({
      tried,
      ended: got === false ? "NOTHING_FOUND" : `GOT_${JSON.stringify(got).slice(0, 80)}`,
    }));
  },
};

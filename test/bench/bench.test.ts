import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { benchNames, main } from "../../bench";
import { type Figure, figure, tableOf } from "../../bench/figure";
import { idealSeconds } from "../../bench/run/pipeline";

const built = join(__dirname, "../../dist/bench");
const FORM = ["name", "value", "unit", "against", "ratio", "goal", "met"];

describe("bench", () => {
  // In a process of its own, as people run it: a bench measures its process, and this one has tests in it.
  it("trust prints figures of the common form, and meets its goals", () => {
    const printed = execFileSync(process.execPath, [join(built, "index.js"), "trust", "--json"], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
    const figures: Figure[] = JSON.parse(printed);
    for (const f of figures) expect(Object.keys(f)).toEqual(FORM);
    expect(figures.filter(({ met }) => met === false)).toEqual([]);
    expect(figures.some(({ unit, goal }) => unit === "ms" && goal === "<= 1000 ms")).toBe(true);
  });

  it("a name that does not exist is refused with those that do", async () => {
    const said: string[] = [];
    const { code } = await main(
      ["nope"],
      () => {},
      (line) => said.push(line),
    );
    expect(code).toBe(2);
    expect(said.join()).toContain("trust");
    expect(benchNames()).not.toContain("figure");
  });

  it("every one is there as it is built, where there are no tests", () => {
    const names = benchNames(built);
    expect(names).toEqual(benchNames());
    const program = `for (const name of ${JSON.stringify(names)}) require(${JSON.stringify(built)} + "/" + name)`;
    execFileSync(process.execPath, ["-e", program], { stdio: ["ignore", "ignore", "pipe"] });
  });

  it("the ideal schedule of a pipeline waits for producers and places, and for nothing else", () => {
    const from = (...steps: string[]) => ({
      outputs: {},
      inputs: Object.fromEntries(steps.map((step) => [step, { from: `${step}.x`, format: "json" as const }])),
    });
    const graph = { a: from(), b: from("a"), c: from("a"), d: from("a"), e: from("b", "c", "d") };
    const seconds = new Map(Object.entries({ a: 1, b: 2, c: 2, d: 3, e: 1 }));
    expect(idealSeconds(graph, seconds, 1)).toBe(9);
    // a, then b beside c, then d, then e.
    expect(idealSeconds(graph, seconds, 2)).toBe(7);
    expect(idealSeconds(graph, seconds, 3)).toBe(5);
  });

  it("a figure compares with its limit and its goal", () => {
    const late = figure({ name: "x", value: 1500.4, unit: "ms", against: 1000, atMost: 1000 });
    expect(late).toEqual({
      name: "x",
      value: 1500,
      unit: "ms",
      against: 1000,
      ratio: 1.5,
      goal: "<= 1000 ms",
      met: false,
    });
    expect(tableOf([late])[0]).toContain("MISSED <= 1000 ms");
    expect(figure({ name: "y", value: 3, unit: "B" })).toMatchObject({
      against: null,
      ratio: null,
      goal: null,
      met: null,
    });
    expect(figure({ name: "z", value: 3, unit: "MB/s", atLeast: 2 }).met).toBe(true);
  });
});

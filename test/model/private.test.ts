import { image, type Problem, parseSpec, problemText, SpecError, validateSpec } from "../../model";

const SECRET = "hunter2-4711";
const step = { image: image.folder("./x"), command: ["x"] };
const spec = (more: object) => ({ version: 1, name: "p", steps: { a: { ...step, ...more } } });
const words = (problems: readonly Problem[]) => problems.map((p) => problemText("p", p)).join("\n");

describe("a message about a part that may be private never quotes it:", () => {
  it.each<[string, object]>([
    ["a command that is one text", { command: `run --token ${SECRET}` }],
    ["a command that is one word", { command: [`run --token ${SECRET}`] }],
    ["a relative command with words", { command: [`bin/run --token ${SECRET}`] }],
    ["an argument with a NUL", { args: [`${SECRET}\0`] }],
    ["an argument in a list", { args: [[SECRET]] }],
    ["arguments that are one text", { args: SECRET }],
    ["a variable's value with a NUL", { env: { A: `${SECRET}\0` } }],
    ["a variable's value in an object", { env: { A: { SECRET } } }],
    ["a variable with its value", { env: { [`A=${SECRET}`]: "" } }],
    ["an environment that is a list", { env: [SECRET] }],
    ["an environment that is one text", { env: `A=${SECRET}` }],
    ["a number in the environment", { env: { PIN: 47110815 } }],
    ["parameters that are one text", { parameters: SECRET }],
  ])("%s", (_name, more) => {
    const problems = validateSpec(spec(more));
    expect(problems).not.toEqual([]);
    expect(words(problems)).not.toMatch(/hunter2|4711/);
  });

  it("a file that is no JSON", () => {
    expect(() => parseSpec(`{"env": "${SECRET}" x`)).toThrow(/^Pipeline: not JSON\. Mend line 1, column \d+$/);
    for (const text of ["", SECRET, `"${SECRET}`, `{"a": ${SECRET}}`]) {
      let message = "";
      try {
        parseSpec(text);
      } catch (error) {
        message = String(error);
      }
      expect(message).toContain("not JSON");
      expect(message).not.toMatch(/hunter2|4711/);
    }
  });
});

describe("a spec from a file", () => {
  const text = JSON.stringify(
    spec({ args: ["{", "a", ":", '"'], env: { A: '{"A":1,"A":2}' }, parameters: { x: [{ x: 1 }, { x: 2 }] } }),
  );

  it("is the same as from a program", () => {
    expect(parseSpec(text)).toEqual(JSON.parse(text));
  });

  it("with a name used twice is refused with every place, told with the other problems", () => {
    const twice = `{"version": 1, "name": "p", "steps": {
      "a": {"image": {"kind": "folder", "path": "x"}, "command": ["x"], "parameters": {"l": [1, {"k": 1, "\\u006b": 2}]}},
      "a": {"image": {"kind": "folder", "path": "x"}, "command": ["x"], "shards": 0}}}`;
    let caught: unknown;
    try {
      parseSpec(twice);
    } catch (error) {
      caught = error;
    }
    expect((caught as SpecError).message.split("\n")).toEqual([
      'Pipeline "p": steps.a.parameters.l[1].k: this name is used twice. Give one of them another name',
      'Pipeline "p": steps.a: this name is used twice. Give one of them another name',
      'Pipeline "p": steps.a.shards: 0 is too small. The least is 1',
    ]);
  });
});

describe("a spec with thousands of mistakes", () => {
  const steps = Object.fromEntries(
    Array.from({ length: 5000 }, (_, i) => [
      `step-${i}`,
      { ...step, inputs: { a: `stop-${i}.out`, b: `input-${i}` }, outputs: { out: "json" } },
    ]),
  );

  it("is checked in less than 5 s, all of them found, and told in a message that ends", () => {
    const started = Date.now();
    const problems = validateSpec({ version: 1, name: "p", steps });
    expect(Date.now() - started).toBeLessThan(5000);
    expect(problems).toHaveLength(10_000);
    const { message } = new SpecError("p", problems);
    expect(message.split("\n")).toHaveLength(101);
    expect(message.endsWith("… and 9900 more problems")).toBe(true);
  });
});

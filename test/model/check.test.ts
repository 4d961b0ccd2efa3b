import { image, type PipelineSpec, type Problem, pipeline, problemText, SpecError, validateSpec } from "../../model";

const step = { image: image.folder("./steps/x"), command: ["node", "/app/main.js"] };
const good = {
  version: 1,
  name: "spam",
  inputs: { mails: "jsonl" },
  steps: {
    split: { ...step, inputs: { mails: "mails" }, outputs: { train: "jsonl", test: "jsonl" } },
    train: { ...step, inputs: { data: { from: "split.train", format: "jsonl" } }, outputs: { model: "json" } },
  },
  releases: { model: "train.model" },
};
type Path = readonly (string | number)[];
/** The good spec with one value changed; undefined removes it. */
function changed(path: Path, value: unknown): unknown {
  const spec = JSON.parse(JSON.stringify(good)) as never;
  let at: Record<string | number, never> = spec;
  for (const part of path.slice(0, -1)) at = at[part] ??= {} as never;
  const last = path.at(-1) as string;
  if (value === undefined) delete at[last];
  else Object.defineProperty(at, last, { value, enumerable: true, configurable: true, writable: true });
  return spec;
}
const lines = (spec: unknown) => validateSpec(spec).map((p) => `${p.code} ${problemText("spam", p)}`);

it("finds nothing wrong with a good spec", () => {
  expect(validateSpec(good)).toEqual([]);
});

describe("one mistake gives one problem, with place, what was found and what to do:", () => {
  const train = (...path: Path) => ["steps", "train", ...path];
  const cases: [Path, unknown, string][] = [
    // references
    [
      train("inputs", "data"),
      "split.trian",
      'REFERENCE Pipeline "spam": steps.train.inputs.data: step "split" has no output "trian" (has train, test). Did you mean "train"?',
    ],
    [
      train("inputs", "data"),
      "spilt.train",
      'REFERENCE Pipeline "spam": steps.train.inputs.data: there is no step "spilt" (has split, train). Did you mean "split"?',
    ],
    [
      train("inputs", "data"),
      "mail",
      'REFERENCE Pipeline "spam": steps.train.inputs.data: there is no pipeline input "mail" (has mails). Did you mean "mails"?',
    ],
    [
      train("inputs", "data"),
      "split",
      'REFERENCE Pipeline "spam": steps.train.inputs.data: "split" is a step. Name one of its outputs: "split.train", "split.test"',
    ],
    [
      train("inputs", "data"),
      "a.b.c",
      'REFERENCE Pipeline "spam": steps.train.inputs.data: "a.b.c" is no reference. Write "step.output", or the name of a pipeline input',
    ],
    [
      train("inputs", "data"),
      "split.__proto__",
      'REFERENCE Pipeline "spam": steps.train.inputs.data: step "split" has no output "__proto__" (has train, test).',
    ],
    [
      train("inputs", "data"),
      "constructor",
      'REFERENCE Pipeline "spam": steps.train.inputs.data: there is no pipeline input "constructor" (has mails).',
    ],
    [
      ["releases", "model"],
      "train.modle",
      'REFERENCE Pipeline "spam": releases.model: step "train" has no output "modle" (has model). Did you mean "model"?',
    ],
    [
      ["releases", "model"],
      "mails",
      'REFERENCE Pipeline "spam": releases.model: "mails" is a pipeline input, which its owner has already. Release an output of a step',
    ],
    [
      train("inputs", "data"),
      "train.model",
      'CYCLE Pipeline "spam": steps.train.inputs: the step reads its own output. Read another step\'s',
    ],
    [
      ["steps", "split", "inputs", "mails"],
      "train.model",
      'CYCLE Pipeline "spam": steps: steps wait for each other: split → train → split. Remove one of these inputs',
    ],
    // formats
    [
      ["inputs", "mails"],
      "pickle",
      'FORMAT Pipeline "spam": inputs.mails: format "pickle" is not supported: reading it runs code. Use safetensors, onnx, npy, arrow or json',
    ],
    [
      train("outputs", "model"),
      "jsom",
      'FORMAT Pipeline "spam": steps.train.outputs.model: format "jsom" is not supported (has json, jsonl, csv, parquet, arrow, npy, safetensors, onnx, text, png, tar, bytes). Did you mean "json"?',
    ],
    [
      train("outputs", "model"),
      { format: "pt" },
      'FORMAT Pipeline "spam": steps.train.outputs.model.format: format "pt" is not supported: it may hold code. Use safetensors or onnx for weights, arrow for tables',
    ],
    [
      train("inputs", "data", "format"),
      "csv",
      'FORMAT Pipeline "spam": steps.train.inputs.data: the step reads csv, but "split.train" is jsonl. Read an output that is csv, or change the step\'s declaration',
    ],
    [
      train("outputs", "model"),
      { format: "json", allowUnsafeFormat: "why" },
      'UNSAFE_FORMAT Pipeline "spam": steps.train.outputs.model.allowUnsafeFormat: json cannot hold pickles, so there is nothing to allow. Remove it',
    ],
    [
      train("outputs", "model"),
      { format: "npy", allowUnsafeFormat: " " },
      'UNSAFE_FORMAT Pipeline "spam": steps.train.outputs.model.allowUnsafeFormat: no reason given. Say why readers of this edge may unpickle it',
    ],
    [
      ["inputs", "mails"],
      { format: "jsonl", allowUnsafeFormat: true },
      'SHAPE Pipeline "spam": inputs.mails.allowUnsafeFormat: expected text, found true',
    ],
    // names
    [
      ["name"],
      "Spam Filter",
      'NAME Pipeline "spam": name: "Spam Filter" cannot be a name. Use 1 to 40 of a-z, 0-9 and -, beginning and ending with a letter or digit, such as "spam-filter"',
    ],
    [
      ["steps", "trainModel"],
      step,
      'NAME Pipeline "spam": steps: "trainModel" cannot be a name. Use 1 to 40 of a-z, 0-9 and -, beginning and ending with a letter or digit, such as "train-model"',
    ],
    [
      ["steps", "__proto__"],
      step,
      'NAME Pipeline "spam": steps: "__proto__" cannot be a name. Use 1 to 40 of a-z, 0-9 and -, beginning and ending with a letter or digit, such as "proto"',
    ],
    [
      train("outputs", "x".repeat(41)),
      "json",
      `NAME Pipeline "spam": steps.train.outputs: "${"x".repeat(41)}" cannot be a name. Use 1 to 40 of a-z, 0-9 and -, beginning and ending with a letter or digit, such as "${"x".repeat(40)}"`,
    ],
    [
      train("outputs", "log"),
      "text",
      'NAME Pipeline "spam": steps.train.outputs.log: "log" is the name of every step\'s own log. Choose another',
    ],
    [
      ["releases", "log"],
      "train.model",
      'NAME Pipeline "spam": releases.log: "log" is the name of every step\'s own log. Choose another',
    ],
    [
      ["releases", "model"],
      { from: "train.model", recipients: ["owner"] },
      'DUPLICATE Pipeline "spam": releases.model.recipients: "owner" can open every release. Leave it out',
    ],
    [
      ["releases", "model"],
      { from: "train.model", recipients: ["a", "a"] },
      'DUPLICATE Pipeline "spam": releases.model.recipients: item 1 is the same as item 0. Remove one of them',
    ],
    // form
    [["version"], 2, 'SHAPE Pipeline "spam": version: expected 1, found 2'],
    [["steps"], undefined, 'SHAPE Pipeline "spam": steps: missing. A pipeline has at least one step'],
    [
      train("comand"),
      ["x"],
      'UNKNOWN_FIELD Pipeline "spam": steps.train.comand: no such field (has image, command, args, env, inputs, outputs, when, resources, retry, timeout, wait, shards, egress, trustProgram, exitClass, acceptRollback, parameters). Did you mean "command"?',
    ],
    [
      train("command"),
      undefined,
      'SHAPE Pipeline "spam": steps.train.command: missing. Say what the step runs, such as ["node", "/app/main.js"]',
    ],
    [
      train("command"),
      [],
      'SHAPE Pipeline "spam": steps.train.command: empty. Say what the step runs, such as ["node", "/app/main.js"]',
    ],
    [train("command"), "node /app/main.js", 'SHAPE Pipeline "spam": steps.train.command: expected a list, found text'],
    [train("command"), ["node", 3], 'SHAPE Pipeline "spam": steps.train.command[1]: expected text, found a number'],
    [train("image"), "python:3", 'SHAPE Pipeline "spam": steps.train.image: expected an object, found "python:3"'],
    [
      train("image"),
      undefined,
      'SHAPE Pipeline "spam": steps.train.image: missing. Say what the step is made of, such as image.folder("./steps/train")',
    ],
    [
      train("image"),
      { kind: "registy", path: "x" },
      'SHAPE Pipeline "spam": steps.train.image.kind: "registy" is not allowed (has folder, oci-layout, registry). Did you mean "registry"?',
    ],
    [
      train("image"),
      { kind: "registry" },
      'SHAPE Pipeline "spam": steps.train.image.reference: missing. Name the image with its digest: "host/repository@sha256:…"',
    ],
    [
      train("image"),
      { kind: "registry", reference: "r.example/team/train:v1" },
      'IMAGE Pipeline "spam": steps.train.image.reference: image "r.example/team/train:v1": has the tag "v1", which can move. Write "r.example/team/train@sha256:<64 hex>". What a tag names now: npx sealflow image digest <reference>',
    ],
    [
      train("image"),
      { kind: "folder", path: "x", baseImage: "alpine" },
      'IMAGE Pipeline "spam": steps.train.image.baseImage: image "alpine": names no registry. Write its full name: "docker.io/library/alpine". What a tag names now: npx sealflow image digest <reference>',
    ],
    [train("image"), { kind: "folder" }, 'SHAPE Pipeline "spam": steps.train.image.path: missing. Say where it lies'],
    [
      train("image"),
      { kind: "folder", path: "" },
      'SHAPE Pipeline "spam": steps.train.image.path: empty. Say where it lies',
    ],
    [
      train("image", "ref"),
      "v1",
      'UNKNOWN_FIELD Pipeline "spam": steps.train.image.ref: no such field (has kind, path, base, baseRef, baseImage, prefix).',
    ],
    [
      train("image", "baseRef"),
      "v1",
      'IMAGE Pipeline "spam": steps.train.image.baseRef: there is no base it could refer to. Add base, or remove it',
    ],
    [
      train("image", "prefix"),
      "app",
      'IMAGE Pipeline "spam": steps.train.image.prefix: "app" is not a folder of the image. Begin with "/"',
    ],
    [
      train("image", "prefix"),
      "/sealflow/bin",
      'IMAGE Pipeline "spam": steps.train.image.prefix: "/sealflow" is the runner\'s. Choose another, such as "/app"',
    ],
    [
      train("image", "prefix"),
      "/app/../sealflow",
      'IMAGE Pipeline "spam": steps.train.image.prefix: "/app/../sealflow" has "." or "..". Write it without',
    ],
    // commands and environment
    [
      train("command"),
      ["./main.sh"],
      'COMMAND Pipeline "spam": steps.train.command[0]: a relative path, and no folder is agreed on. Write it from "/", such as "/app/main.sh"',
    ],
    [
      train("command"),
      ["node /app/main.js"],
      'COMMAND Pipeline "spam": steps.train.command[0]: has spaces, and no shell splits it. Write each word as an item of its own: ["node", …]',
    ],
    [
      train("args"),
      ["a\0b"],
      'COMMAND Pipeline "spam": steps.train.args[0]: has a NUL character, which no argument can hold. Remove it',
    ],
    [
      train("env"),
      { SEALFLOW_RUN: "1" },
      'ENV Pipeline "spam": steps.train.env.SEALFLOW_RUN: SEALFLOW_… is set by the runner. Choose another name',
    ],
    [
      train("env"),
      { "A=B": "1" },
      'ENV Pipeline "spam": steps.train.env: "A" with "=" cannot be the name of a variable. Use letters, digits and _',
    ],
    [train("env"), { A: 1 }, 'SHAPE Pipeline "spam": steps.train.env.A: expected text, found a number'],
    // limits
    [["steps"], {}, 'LIMIT Pipeline "spam": steps: empty. A pipeline has at least one step'],
    [train("shards"), 0, 'LIMIT Pipeline "spam": steps.train.shards: 0 is too small. The least is 1'],
    [train("shards"), 1001, 'LIMIT Pipeline "spam": steps.train.shards: 1001 is too large. The most is 1000'],
    [train("shards"), 1.5, 'SHAPE Pipeline "spam": steps.train.shards: expected a whole number, found 1.5'],
    [
      train("timeout"),
      "1.5h",
      'SHAPE Pipeline "spam": steps.train.timeout: "1.5h" is not a duration. Write whole seconds, or digits with a unit: "90s", "30m", "2h", "1d"',
    ],
    [train("timeout"), 0, 'LIMIT Pipeline "spam": steps.train.timeout: 0s is out of range. From 1s to 365d'],
    [train("wait"), "2d", 'LIMIT Pipeline "spam": steps.train.wait: 2d is out of range. From 1s to 1d'],
    [
      train("retry"),
      { limit: 101 },
      'LIMIT Pipeline "spam": steps.train.retry.limit: 101 is too large. The most is 100',
    ],
    [
      train("retry"),
      { limit: 1, backoff: "1h", maxBackoff: "5m" },
      'LIMIT Pipeline "spam": steps.train.retry.maxBackoff: 5m is shorter than the first pause, 1h. Raise it, or lower backoff',
    ],
    [train("retry"), 3, 'SHAPE Pipeline "spam": steps.train.retry: expected an object, found 3'],
    [
      train("resources"),
      { memory: "4GB" },
      'SHAPE Pipeline "spam": steps.train.resources.memory: "4GB" is not a size. Write it as "512Mi" or "4Gi"',
    ],
    [
      train("resources"),
      { memory: "1Mi" },
      'LIMIT Pipeline "spam": steps.train.resources.memory: 1Mi is out of range. From 64Mi to 24Ti',
    ],
    [
      train("resources"),
      { cpu: 0.12345 },
      'LIMIT Pipeline "spam": steps.train.resources.cpu: 0.12345 is finer than thousandths. Write 0.124',
    ],
    [
      train("trustProgram"),
      "",
      'SHAPE Pipeline "spam": steps.train.trustProgram: empty. Write it, or leave the field out',
    ],
    [
      train("trustProgram"),
      "  ",
      'SHAPE Pipeline "spam": steps.train.trustProgram: no reason given. It is shown to whoever reviews this',
    ],
    [
      train("inputs", "mails"),
      { from: "mails", collect: true },
      'SHARDS Pipeline "spam": steps.train.inputs.mails: "mails" is a pipeline input and has no shards. Remove collect',
    ],
    [
      ["steps", "split", "shards"],
      4,
      'SHARDS Pipeline "spam": steps.train.inputs.data: step "split" has 4 shards and this step has 1. Collect them, or make the numbers equal',
    ],
    // features that are not had
    [
      train("cache"),
      true,
      'FEATURE Pipeline "spam": steps.train.cache: "cache" (step cache) is refused: a cache outside the guest can name another result as the hit, and a hit tells that two inputs are equal. Instead: run the step; a cache of attested receipts, switched on by the owner, will come later',
    ],
    [
      ["schedule"],
      "0 3 * * *",
      'FEATURE Pipeline "spam": schedule: "schedule" (schedules) is refused: whoever may start runs may multiply them, so each slot must be signed by the owner beforehand. Instead: `schedules: { nightly: "30 3 * * *" }` (UTC), signed by `up`: a slot opens one run, not before its time and, with `late: "2h"`, not long after; `sealflow schedules` shows and opens them',
    ],
    [
      train("retries"),
      3,
      'FEATURE Pipeline "spam": steps.train.retries: "retries" (retries) is written differently here: the attempt\'s number is part of key and associated data, and one commit per step and shard counts. Instead: `retry: { limit, backoff, factor, maxBackoff }`',
    ],
  ];

  it.each(cases)("%j = %j", (path, value, expected) => {
    expect(lines(changed(path, value))).toEqual([expected]);
  });

  it.each([[null], [undefined], [3], ["spec"], [[]]])("%j is no spec", (value) => {
    expect(validateSpec(value)).toMatchObject([{ code: "SHAPE", at: "" }]);
  });
});

it("a step reads at most 5000 objects", () => {
  const all = (count: number) => ({
    ...step,
    inputs: Object.fromEntries([...Array(count)].map((_, i) => [`in-${i}`, { from: "part.rows", collect: true }])),
  });
  const part = { ...step, outputs: { rows: "json" }, shards: 1000 };
  const spec = (count: number) => ({ version: 1, name: "spam", steps: { part, all: all(count) } });
  expect(lines(spec(5))).toEqual([]);
  expect(lines(spec(6))).toEqual([
    'LIMIT Pipeline "spam": steps.all.inputs: 6000 objects are too many. The most is 5000; collect them in two stages',
  ]);
});

it("more than 5000 steps are too many", () => {
  const steps = (n: number) => Object.fromEntries(Array.from({ length: n }, (_, i) => [`s${i}`, step]));
  expect(validateSpec({ version: 1, name: "p", steps: steps(5000) })).toEqual([]);
  expect(lines({ version: 1, name: "p", steps: steps(5001) })).toEqual([
    'LIMIT Pipeline "spam": steps: 5001 are too many. The most is 5000',
  ]);
});

describe("all problems are told at once", () => {
  const spec = {
    version: 1,
    name: "spam",
    inputs: { mails: "jsnl" },
    steps: {
      a: { ...step, inputs: { x: "b.out", y: "nowhere" }, outputs: { out: "json" } },
      b: { ...step, inputs: { x: "a.out" }, outputs: { out: "json" }, shards: 0, cache: true },
      c: { command: ["x"], inputs: { m: "mails" }, outputs: { weights: "pickle" } },
    },
    releases: { w: "c.weight" },
  };

  it("in one list", () => {
    expect(
      validateSpec(spec)
        .map(({ code, at }) => `${code} ${at}`)
        .sort(),
    ).toEqual([
      "CYCLE steps",
      "FEATURE steps.b.cache",
      "FORMAT inputs.mails",
      "FORMAT steps.c.outputs.weights",
      "LIMIT steps.b.shards",
      "REFERENCE releases.w",
      "REFERENCE steps.a.inputs.y",
      "SHAPE steps.c.image",
    ]);
  });

  it("in one error, one line each, when a program meets them", () => {
    const p = pipeline("spam");
    const rows = p.input("rows", "jsonl");
    p.input("rows", "csv");
    p.step("a", { ...step, inputs: { rows }, shards: 2000 });
    p.step("a", { ...step, inputs: { rows }, timeout: "9999d" });
    const error = thrown(() => p.toJSON());
    expect(error.code).toBe("SPEC");
    expect(error.message.split("\n")).toEqual([
      'Pipeline "spam": inputs.rows: two inputs have this name. Give one of them another name',
      'Pipeline "spam": steps.a: two steps have this name. Give one of them another name',
      'Pipeline "spam": steps.a.timeout: 9999d is out of range. From 1s to 365d',
    ]);
    expect(error.problems.map((problem: Problem) => problem.code)).toEqual(["DUPLICATE", "DUPLICATE", "LIMIT"]);
  });
});

const thrown = (act: () => unknown): SpecError => {
  try {
    act();
  } catch (error) {
    if (error instanceof SpecError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
};

describe("a step defined once", () => {
  it("is refused for other inputs than it declares, also without the compiler", () => {
    const p = pipeline("spam");
    const rows = p.input("rows", "csv");
    const { defineStep } = require("../../model");
    defineStep({ ...step, inputs: { data: "jsonl", extra: "json" } })(p, "train", { data: rows, dtaa: rows });
    expect(thrown(() => p.toJSON()).message.split("\n")).toEqual([
      'Pipeline "spam": steps.train.inputs.extra: missing. The step reads "extra" (json); pass a handle of that format',
      'Pipeline "spam": steps.train.inputs.dtaa: the step declares no such input (has data, extra). Did you mean "data"?',
      'Pipeline "spam": steps.train.inputs.data: the step reads jsonl, but "rows" is csv. Read an output that is jsonl, or change the step\'s declaration',
    ]);
  });
});

describe("a handle", () => {
  it("of another pipeline is refused", () => {
    const other = pipeline("other").input("rows", "jsonl");
    expect(() => pipeline("spam").step("a", { ...step, inputs: { rows: other } })).toThrow(
      'Pipeline "spam": steps.a.inputs.rows: "rows" is of another pipeline. Release it there, and read it here as an input',
    );
  });

  it("that is undefined is refused: without the compiler a misspelled output would be an input, a release the less", () => {
    const p = require("../../model").pipeline("spam");
    const missing = p.step("make", { ...step, outputs: { rows: "jsonl" } }).rwos;
    p.step("read", { ...step, inputs: { rows: missing }, when: { from: missing, equals: true } });
    p.release({ rows: missing });
    expect(thrown(() => p.toJSON()).problems.map(({ code, at }) => `${code} ${at}`)).toEqual(
      expect.arrayContaining([
        "REFERENCE releases.rows",
        "REFERENCE steps.read.inputs.rows",
        "REFERENCE steps.read.when.from",
      ]),
    );
    expect(thrown(() => p.toJSON()).message).toContain("steps.read.inputs.rows: undefined is no handle");
  });

  it("becomes a reference, and its spec is a copy that later calls do not reach", () => {
    const p = pipeline("spam");
    const rows = p.input("rows", "jsonl");
    const map = p.step("map", { ...step, inputs: { rows }, outputs: { part: "json" }, shards: 3 });
    const first = p.toJSON();
    p.step("merge", { ...step, inputs: { parts: map.part.collect() } });
    expect(Object.keys(first.steps)).toEqual(["map"]);
    const second: PipelineSpec = p.toJSON();
    expect(second.steps.merge?.inputs).toEqual({ parts: { from: "map.part", collect: true } });
    expect(JSON.parse(JSON.stringify({ spec: p })).spec).toEqual(second);
  });
});

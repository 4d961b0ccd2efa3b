/** Programs that must compile, and programs that must not, each with the message that its author will read. */
import fs from "node:fs";
import path from "node:path";
import ts from "typescript";

const root = path.resolve(__dirname, "../..");
const programs = path.join(root, "test/programs");
const filesOf = (folder: string) =>
  fs
    .readdirSync(path.join(programs, folder))
    .sort()
    .map((file) => path.join(programs, folder, file));

/** The project's; but unused variables are no matter here: the programs are as short as they can be. */
function compilerOptions(): ts.CompilerOptions {
  const { config } = ts.readConfigFile(path.join(root, "tsconfig.json"), ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root);
  return { ...options, noUnusedLocals: false, types: ["node"] };
}

/** The compiler tells the members of a union in the order in which it met them. */
const sorted = (message: string) =>
  message.replace(/"[a-z]+"(?: \| "[a-z]+")+/g, (union) => union.split(" | ").sort().join(" | "));

/** First line of each message; further lines only explain it. */
function messages(program: ts.Program, file: string): string[] {
  const source = program.getSourceFile(file) as ts.SourceFile;
  const found = [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)];
  return found
    .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, "\n").split("\n")[0] as string)
    .map(sorted);
}

describe("the compiler", () => {
  const [good, bad] = [filesOf("must-compile"), filesOf("must-not-compile")];
  const program = ts.createProgram([...good, ...bad], compilerOptions());

  it.each(good.map((file) => [path.basename(file), file]))("accepts %s", (_name, file) => {
    expect(messages(program, file)).toEqual([]);
  });

  it.each(bad.map((file) => [path.basename(file), file]))("refuses %s in words", (_name, file) => {
    const expected = fs
      .readFileSync(file, "utf8")
      .split("\n")
      .flatMap((line) => line.match(/^\/\/ expect: (.*)$/)?.[1] ?? []);
    expect(expected.length).toBeGreaterThan(0);
    expect(messages(program, file)).toEqual(expected.map(sorted));
  });

  it("has an error at one place only, except where a variable is used before it exists", () => {
    const several = bad.filter((file) => messages(program, file).length > 1).map((file) => path.basename(file));
    expect(several).toEqual(["cycle.ts", "own-output.ts"]);
  });
});

// Measured: 0.23 s and 23 MB on one core of 2.5 GHz.
describe("a pipeline of 500 steps", () => {
  it("costs the compiler less than 2 s and 80 MB more than one of two steps", () => {
    const measure = (steps: number) => {
      const file = path.join(programs, "must-compile", `generated-${steps}.ts`);
      const program = compileText(file, programText(steps));
      global.gc?.();
      const before = process.memoryUsage().heapUsed;
      const started = process.cpuUsage();
      expect(messages(program, file)).toEqual([]);
      const seconds = process.cpuUsage(started).user / 1e6; // of this process: others may be busy too
      return { seconds, megabytes: (process.memoryUsage().heapUsed - before) / 2 ** 20 };
    };
    measure(2); // the library's own declarations, and the compiler's warm-up
    const [small, large] = [measure(2), measure(500)];
    expect(large.seconds - small.seconds).toBeLessThan(2);
    expect(large.megabytes - small.megabytes).toBeLessThan(80);
  }, 120_000);
});

/** Read once for all programs here. */
const sources = new Map<string, ts.SourceFile | undefined>();

/** A program whose main file exists in memory only. */
function compileText(file: string, text: string): ts.Program {
  const host = ts.createCompilerHost(compilerOptions());
  const { getSourceFile, fileExists } = host;
  host.fileExists = (name) => name === file || fileExists(name);
  host.getSourceFile = (name, ...more) => {
    if (name === file) return ts.createSourceFile(name, text, ts.ScriptTarget.ES2023);
    if (!sources.has(name)) sources.set(name, getSourceFile(name, ...more));
    return sources.get(name);
  };
  return ts.createProgram([file], compilerOptions(), host);
}

/** Every step reads two earlier ones, half of them through a definition. */
function programText(steps: number): string {
  const lines = [
    'import { defineStep, image, pipeline } from "sealflow";',
    'const p = pipeline("large");',
    'const rows = p.input("rows", "jsonl");',
    'const base = { image: image.folder("./x"), command: ["x"] };',
    'const train = defineStep({ ...base, inputs: { a: "jsonl", b: "jsonl" }, outputs: { out: "jsonl", model: "json" } });',
    'const s0 = p.step("s0", { ...base, inputs: { rows }, outputs: { out: "jsonl", model: "json" } });',
    'const s1 = p.step("s1", { ...base, inputs: { rows }, outputs: { out: "jsonl", model: "json" } });',
  ];
  for (let i = 2; i < steps; i++) {
    const [a, b] = [`s${i - 1}.out`, `s${i >> 1}.out`];
    lines.push(
      i % 2 === 0
        ? `const s${i} = train(p, "s${i}", { a: ${a}, b: ${b} });`
        : `const s${i} = p.step("s${i}", { ...base, inputs: { a: ${a}, b: ${b} }, outputs: { out: "jsonl", model: "json" } });`,
    );
  }
  return [...lines, `p.release({ model: s${steps - 1}.model });`].join("\n");
}

/** What a step and a pipeline may not say although it has the right form. */
import { ImageReferenceError, parsePinnedImage } from "../protocol/image-reference";
import { LOG_RELEASE } from "../protocol/messages/run";
import { checkCron } from "../protocol/slots";
import type { Problem, ProblemCode } from "./errors";
import { entries, isObject } from "./plain";
import { bytes, durationText, seconds } from "./quantities";

type Fields = Readonly<Record<string, unknown>>;

/** Formats whose content may be pickled, and for which an allowance means something. */
const MAY_BE_UNSAFE = new Set(["npy", "tar"]);

export function pipelineProblems(spec: Fields): Problem[] {
  const problems: Problem[] = [];
  for (const [name, declared] of entries(spec.inputs)) {
    problems.push(...unsafeProblems(`inputs.${name}`, declared));
    if (isObject(declared) && declared.declassify !== undefined) {
      const message = "an input is not declassified; only an output of a step is. Remove it";
      problems.push({ code: "DECLASSIFY", at: `inputs.${name}.declassify`, message });
    }
  }
  for (const [name, declared] of entries(spec.schedules))
    problems.push(...scheduleProblems(`schedules.${name}`, declared));
  for (const [name, release] of entries(spec.releases)) {
    if (name === LOG_RELEASE) {
      const message = `"${LOG_RELEASE}" is the name of every step's own log. Choose another`;
      problems.push({ code: "NAME", at: `releases.${name}`, message });
    }
    if (isObject(release) && Array.isArray(release.recipients) && release.recipients.includes("owner")) {
      const message = `"owner" can open every release. Leave it out`;
      problems.push({ code: "DUPLICATE", at: `releases.${name}.recipients`, message });
    }
  }
  for (const [name, step] of entries(spec.steps)) if (isObject(step)) problems.push(...stepProblems(name, step));
  return problems;
}

function stepProblems(name: string, step: Fields): Problem[] {
  const at = `steps.${name}`;
  return [
    ...commandProblems(at, step),
    ...environmentProblems(`${at}.env`, step.env),
    ...outputProblems(`${at}.outputs`, step.outputs, step.shards),
    ...reasonProblems(at, step),
    ...limitProblems(at, step),
    ...imageProblems(`${at}.image`, step.image),
  ];
}

function commandProblems(at: string, step: Fields): Problem[] {
  const problem = (place: string, message: string): Problem => ({ code: "COMMAND", at: `${at}.${place}`, message });
  const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
  const [command, args] = [list(step.command), list(step.args)];
  const problems: Problem[] = [];
  const [first] = command;
  if (typeof first === "string") {
    const message = firstWordProblem(first, command.length === 1 && args.length === 0);
    if (message !== undefined) problems.push(problem("command[0]", message));
  }
  for (const [field, values] of [["command", command] as const, ["args", args] as const]) {
    for (const [i, value] of values.entries()) {
      if (typeof value !== "string" || !value.includes("\0")) continue;
      problems.push(problem(`${field}[${i}]`, "has a NUL character, which no argument can hold. Remove it"));
    }
  }
  if (command.length + args.length > 1000) {
    const message = `${command.length + args.length} arguments with command are too many. The most is 1000; pass a file`;
    problems.push({ code: "LIMIT", at: `${at}.args`, message });
  }
  return problems;
}

/** Quotes the program's own path at most: what follows may be private. @param alone whether there are no further arguments */
function firstWordProblem(first: string, alone: boolean): string | undefined {
  if (first === "") return 'empty. Name the program, such as "node" or "/app/train"';
  const [program = ""] = first.trim().split(/\s/);
  if (alone && /\s/.test(first)) {
    return `has spaces, and no shell splits it. Write each word as an item of its own: [${JSON.stringify(program.slice(0, 60))}, …]`;
  }
  if (!first.includes("/") || first.startsWith("/")) return undefined;
  const inApp = program.replace(/^(\.\/)+/, "").slice(0, 60);
  return `a relative path, and no folder is agreed on. Write it from "/", such as "/app/${inApp}"`;
}

function environmentProblems(at: string, env: unknown): Problem[] {
  const problems: Problem[] = [];
  for (const [name, value] of entries(env)) {
    if (/^SEALFLOW(_|$)/.test(name)) {
      problems.push({
        code: "ENV",
        at: `${at}.${name}`,
        message: "SEALFLOW_… is set by the runner. Choose another name",
      });
    }
    if (typeof value === "string" && value.includes("\0")) {
      problems.push({ code: "ENV", at: `${at}.${name}`, message: "has a NUL character. Remove it" });
    }
  }
  return problems;
}

function outputProblems(at: string, outputs: unknown, shards: unknown): Problem[] {
  return entries(outputs).flatMap(([name, declared]) => {
    const problems = [...unsafeProblems(`${at}.${name}`, declared), ...bitProblems(`${at}.${name}`, declared, shards)];
    if (name !== "log") return problems;
    const message = '"log" is the name of every step\'s own log. Choose another';
    return [...problems, { code: "NAME" as const, at: `${at}.${name}`, message }];
  });
}

/** A declassified output is one bit: of one shard, and nothing else fits into true or false. */
function bitProblems(at: string, declared: unknown, shards: unknown): Problem[] {
  if (!isObject(declared) || typeof declared.declassify !== "string") return [];
  const problem = (message: string): Problem => ({ code: "DECLASSIFY", at: `${at}.declassify`, message });
  if (declared.format !== "json") return [problem("only json that is true or false is declassified. Make it json")];
  if (typeof shards === "number" && shards !== 1)
    return [problem("a step with shards has no single bit. Collect them first")];
  return blank(declared.declassify) ? [problem("no reason given. Say why everybody may learn it")] : [];
}

function scheduleProblems(at: string, declared: unknown): Problem[] {
  const { cron, late } = isObject(declared) ? declared : { cron: declared, late: undefined };
  const problems = durationProblems(`${at}.late`, late, 60, 365 * DAY);
  if (typeof cron !== "string") return problems;
  try {
    checkCron(cron);
  } catch (error) {
    const message = `${(error as Error).message}. Write five fields, in UTC, such as "30 3 * * MON-FRI"`;
    problems.push({ code: "SCHEDULE", at: isObject(declared) ? `${at}.cron` : at, message });
  }
  return problems;
}

function unsafeProblems(at: string, declared: unknown): Problem[] {
  if (!isObject(declared) || declared.allowUnsafeFormat === undefined) return [];
  const { format, allowUnsafeFormat } = declared;
  const problem = (message: string): Problem => ({ code: "UNSAFE_FORMAT", at: `${at}.allowUnsafeFormat`, message });
  if (typeof allowUnsafeFormat !== "string") return [];
  if (typeof format === "string" && !MAY_BE_UNSAFE.has(format)) {
    const why = format === "bytes" ? "is not looked into" : "cannot hold pickles";
    return [problem(`${format} ${why}, so there is nothing to allow. Remove it`)];
  }
  return blank(allowUnsafeFormat) ? [problem("no reason given. Say why readers of this edge may unpickle it")] : [];
}

const blank = (text: string): boolean => text !== "" && text.trim() === "";

function reasonProblems(at: string, step: Fields): Problem[] {
  return ["trustProgram", "acceptRollback"].flatMap((field) => {
    const reason = step[field];
    if (typeof reason !== "string" || !blank(reason)) return [];
    return [
      { code: "SHAPE" as const, at: `${at}.${field}`, message: "no reason given. It is shown to whoever reviews this" },
    ];
  });
}

const DAY = 86_400;

function limitProblems(at: string, step: Fields): Problem[] {
  const { retry, resources } = step;
  const problems: Problem[] = [
    ...durationProblems(`${at}.timeout`, step.timeout, 1, 365 * DAY),
    ...durationProblems(`${at}.wait`, step.wait, 1, DAY),
  ];
  if (isObject(retry)) {
    problems.push(...durationProblems(`${at}.retry.backoff`, retry.backoff, 0, DAY));
    problems.push(...durationProblems(`${at}.retry.maxBackoff`, retry.maxBackoff, 0, DAY));
    const [first, most] = [seconds(retry.backoff ?? 5), seconds(retry.maxBackoff ?? 300)];
    if (first !== undefined && most !== undefined && first > most) {
      const message = `${durationText(most)} is shorter than the first pause, ${durationText(first)}. Raise it, or lower backoff`;
      problems.push({ code: "LIMIT", at: `${at}.retry.maxBackoff`, message });
    }
  }
  if (isObject(resources)) problems.push(...resourceProblems(`${at}.resources`, resources));
  return problems;
}

function durationProblems(at: string, value: unknown, least: number, most: number): Problem[] {
  const found = seconds(value);
  if (found === undefined || (found >= least && found <= most)) return [];
  const message = `${durationText(found)} is out of range. From ${durationText(least)} to ${durationText(most)}`;
  return [{ code: "LIMIT", at, message }];
}

function resourceProblems(at: string, resources: Fields): Problem[] {
  const problem = (field: string, message: string): Problem => ({ code: "LIMIT", at: `${at}.${field}`, message });
  const { cpu, memory } = resources;
  const problems: Problem[] = [];
  if (typeof cpu === "number" && cpu >= 0.001 && Math.abs(cpu * 1000 - Math.round(cpu * 1000)) > 1e-6) {
    problems.push(problem("cpu", `${cpu} is finer than thousandths. Write ${Math.ceil(cpu * 1000) / 1000}`));
  }
  const size = bytes(memory);
  if (size !== undefined && (size < 64 * 2 ** 20 || size > 24 * 2 ** 40)) {
    problems.push(problem("memory", `${memory} is out of range. From 64Mi to 24Ti`));
  }
  return problems;
}

/** What is wrong with a reference to a registry's image, and what to write instead. */
function referenceProblem(reference: string): string | undefined {
  try {
    parsePinnedImage(reference);
    return undefined;
  } catch (error) {
    if (!(error instanceof ImageReferenceError)) throw error;
    return `${error.message}. What a tag names now: npx sealflow image digest <reference>`;
  }
}

function imageProblems(at: string, image: unknown): Problem[] {
  if (!isObject(image)) return [];
  const problem = (field: string, message: string): Problem => ({
    code: "IMAGE" as ProblemCode,
    at: `${at}.${field}`,
    message,
  });
  const problems: Problem[] = [];
  if (image.baseRef !== undefined && image.base === undefined) {
    problems.push(problem("baseRef", "there is no base it could refer to. Add base, or remove it"));
  }
  if (image.baseImage !== undefined && image.base !== undefined) {
    problems.push(problem("baseImage", "there is a base already. Remove one of them"));
  }
  for (const field of ["reference", "baseImage"] as const) {
    const wrong = typeof image[field] === "string" ? referenceProblem(image[field]) : undefined;
    if (wrong !== undefined) problems.push(problem(field, wrong));
  }
  const { prefix } = image;
  if (typeof prefix === "string") {
    const folders = prefix.split("/").filter((part) => part !== "");
    if (folders.includes("..") || folders.includes("."))
      problems.push(problem("prefix", `"${prefix.slice(0, 60)}" has "." or "..". Write it without`));
    else if (folders[0] === "sealflow" || folders[0] === "sealflow-owner") {
      problems.push(problem("prefix", `"/${folders[0]}" is the runner's. Choose another, such as "/app"`));
    }
  }
  return problems;
}

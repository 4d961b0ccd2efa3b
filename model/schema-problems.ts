/** What spec.schema.json says about a spec, in words. */
import type { ErrorObject, ValidateFunction } from "ajv";
import Ajv2020 from "ajv/dist/2020";
import { FORMATS } from "../protocol/formats";
import type { Problem, ProblemCode } from "./errors";
import schema from "./spec.schema.json";
import { didYouMean, listed } from "./suggest";
import { refusalText, vettedField } from "./vetting";

let compiled: ValidateFunction | undefined;

function validator(): ValidateFunction {
  // Compiled at first use: importing the package costs nothing. `verbose` gives the schema and value of an error.
  compiled ??= new Ajv2020({ allErrors: true, verbose: true, allowUnionTypes: true, strictRequired: false }).compile(
    schema,
  );
  return compiled;
}

/** Every place where the form is wrong, one problem for each place and field. */
export function schemaProblems(spec: unknown): Problem[] {
  const validate = validator();
  if (validate(spec)) return [];
  const found = new Map<string, Problem>();
  for (const error of validate.errors ?? []) {
    const problem = inWords(error);
    // A value of the wrong kind breaks several rules at once; the first says it.
    if (problem && !found.has(problem.at)) found.set(problem.at, problem);
  }
  return [...found.values()];
}

/** `/steps/train/command/0` → `steps.train.command[0]`. */
export function place(pointer: string, ...more: readonly string[]): string {
  const parts = [
    ...pointer
      .split("/")
      .slice(1)
      .map((p) => p.replaceAll("~1", "/").replaceAll("~0", "~")),
    ...more,
  ];
  return parts.reduce(
    (at, part) =>
      /^[0-9]+$/.test(part) && at.includes(".") && isList(at) ? `${at}[${part}]` : at === "" ? part : `${at}.${part}`,
    "",
  );
}

const isList = (at: string): boolean => /\.(command|args|recipients)$/.test(at);

function inWords(error: ErrorObject): Problem | undefined {
  const { keyword, instancePath, params, data } = error;
  // `if` only repeats what its branch said; what is wrong with a property's name is told by propertyNames.
  if (keyword === "if" || error.propertyName !== undefined) return undefined;
  const at = place(instancePath);
  if (keyword === "additionalProperties") return unknownField(error, instancePath, params.additionalProperty);
  if (keyword === "required") return missing(instancePath, params.missingProperty);
  if (keyword === "propertyNames") return badName(instancePath, params.propertyName);
  const [code, message] = valueProblem(error, data, at);
  return { code, at, message };
}

function unknownField(error: ErrorObject, path: string, field: string): Problem {
  const at = place(path, field);
  const level = path === "" ? "pipeline" : /^\/steps\/[^/]+$/.test(path) ? "step" : undefined;
  const row = level && vettedField(level, field);
  if (row) return { code: "FEATURE", at, message: refusalText(field, row) };
  const known = Object.keys((error.parentSchema as { properties?: object }).properties ?? {});
  return { code: "UNKNOWN_FIELD", at, message: `no such field (has ${known.join(", ")}).${didYouMean(field, known)}` };
}

const NEEDED: Readonly<Record<string, string>> = {
  version: "Write 1",
  name: "Give the pipeline a name",
  steps: "A pipeline has at least one step",
  image: 'Say what the step is made of, such as image.folder("./steps/train")',
  command: 'Say what the step runs, such as ["node", "/app/main.js"]',
  kind: 'Write "folder", "oci-layout" or "registry", or use image.folder(), image.ociLayout() or image.registry()',
  path: "Say where it lies",
  reference: 'Name the image with its digest: "host/repository@sha256:…"',
  from: 'Name an output ("step.output") or an input of the pipeline',
  format: `Name one of ${FORMATS.join(", ")}`,
  limit: "Say how many further attempts a step gets",
};

function missing(path: string, field: string): Problem {
  return { code: "SHAPE", at: place(path, field), message: `missing. ${NEEDED[field] ?? "Write it"}` };
}

function badName(path: string, name: string): Problem {
  const at = place(path);
  const shown = JSON.stringify(name.slice(0, 60));
  if (path.endsWith("/env")) {
    const variable = JSON.stringify(name.split("=", 1)[0]?.slice(0, 60)); // what follows may be its value
    return {
      code: "ENV",
      at,
      message: `${name.includes("=") ? `${variable} with "="` : variable} cannot be the name of a variable. Use letters, digits and _`,
    };
  }
  return { code: "NAME", at, message: `${shown} cannot be a name. ${nameRule(name)}` };
}

/** The rule, and the name that was probably meant. */
export function nameRule(name: string): string {
  const fixed = name
    .replace(/([a-z0-9])([A-Z])/g, "$1-$2")
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .slice(0, 40)
    .replace(/^-+|-+$/g, "");
  const rule = "Use 1 to 40 of a-z, 0-9 and -, beginning and ending with a letter or digit";
  return fixed === "" || fixed === name ? rule : `${rule}, such as "${fixed}"`;
}

const KINDS: Readonly<Record<string, string>> = {
  object: "an object",
  array: "a list",
  string: "text",
  integer: "a whole number",
  number: "a number",
  boolean: "true or false",
};

function valueProblem(error: ErrorObject, data: unknown, at: string): [ProblemCode, string] {
  const { keyword, params } = error;
  switch (keyword) {
    case "type": {
      const kinds = [params.type].flat().map((t: string) => KINDS[t] ?? t);
      return ["SHAPE", `expected ${kinds.join(" or ")}, found ${mayBeSecret(at) ? kindOf(data) : describe(data)}`];
    }
    case "enum":
      return params.allowedValues.includes("safetensors")
        ? ["FORMAT", formatProblem(data)]
        : oneOf(data, params.allowedValues);
    case "const":
      return ["SHAPE", `expected ${JSON.stringify(params.allowedValue)}, found ${describe(data)}`];
    case "pattern":
      return patternProblem(params.pattern, String(data));
    case "uniqueItems":
      return ["DUPLICATE", `item ${params.i} is the same as item ${params.j}. Remove one of them`];
    case "minLength":
      return ["SHAPE", at.endsWith(".path") ? "empty. Say where it lies" : "empty. Write it, or leave the field out"];
    case "minItems":
      return ["SHAPE", `empty. ${NEEDED[at.split(".").at(-1) ?? ""] ?? "Write at least one"}`];
    case "minProperties":
      return ["LIMIT", "empty. A pipeline has at least one step"];
    default:
      return ["LIMIT", limitProblem(keyword, params.limit, data)];
  }
}

function limitProblem(keyword: string, limit: number, data: unknown): string {
  const size = typeof data === "string" || Array.isArray(data) ? data.length : Object.keys(data ?? {}).length;
  switch (keyword) {
    case "minimum":
      return `${data} is too small. The least is ${limit}`;
    case "maximum":
      return `${data} is too large. The most is ${limit}`;
    case "maxLength":
      return `${size} characters are too many. The most is ${limit}`;
    case "maxItems":
    case "maxProperties":
      return `${size} are too many. The most is ${limit}`;
    default:
      return `not allowed (${keyword})`;
  }
}

function oneOf(data: unknown, allowed: readonly unknown[]): [ProblemCode, string] {
  const names = allowed.map(String);
  const hint = typeof data === "string" ? didYouMean(data, names) : "";
  return ["SHAPE", `${describe(data)} is not allowed (has ${listed(names)}).${hint}`];
}

/** Formats that run code when they are read, or that no check exists for, with what to use. */
const INSTEAD: readonly (readonly [RegExp, string])[] = [
  [
    /^(pickle|pkl|joblib|dill|cloudpickle|marshal)$/i,
    "reading it runs code. Use safetensors, onnx, npy, arrow or json",
  ],
  [
    /^(pt|pth|bin|ckpt|torch|pytorch|keras|h5|hdf5)$/i,
    "it may hold code. Use safetensors or onnx for weights, arrow for tables",
  ],
  [/^(npz|zip|tgz|tar\.gz|gz)$/i, "it is a compressed archive. Use npy, or tar"],
  [/^(txt|md|log|html|xml|yaml|yml)$/i, "use text"],
  [/^(ndjson|jsonlines|json-lines)$/i, "use jsonl"],
  [/^(feather|ipc)$/i, "use arrow"],
  [/^(jpg|jpeg|gif|webp)$/i, "use png, or bytes"],
];

export function formatProblem(found: unknown): string {
  if (typeof found !== "string") return `expected a format, found ${describe(found)}. Use one of ${FORMATS.join(", ")}`;
  const instead = INSTEAD.find(([names]) => names.test(found))?.[1];
  const head = `format ${JSON.stringify(found.slice(0, 60))} is not supported`;
  if (instead) return `${head}: ${instead}`;
  return `${head} (has ${FORMATS.join(", ")}).${didYouMean(found, FORMATS)}`;
}

function patternProblem(pattern: string, found: string): [ProblemCode, string] {
  const shown = JSON.stringify(found.slice(0, 60));
  if (pattern.includes("[smhd]")) {
    return [
      "SHAPE",
      `${shown} is not a duration. Write whole seconds, or digits with a unit: "90s", "30m", "2h", "1d"`,
    ];
  }
  if (pattern.includes("Mi|Gi|Ti")) return ["SHAPE", `${shown} is not a size. Write it as "512Mi" or "4Gi"`];
  if (pattern.startsWith("^/")) return ["IMAGE", `${shown} is not a folder of the image. Begin with "/"`];
  return ["NAME", `${shown} cannot be a name. ${nameRule(found)}`];
}

/** Commands, environment and parameters are as private as data: messages never quote them. */
const mayBeSecret = (at: string): boolean => /^steps\..*\.(command|args|env|parameters)(\b|$)/.test(at);

const kindOf = (data: unknown): string => {
  if (typeof data === "string") return "text";
  return typeof data === "number" || typeof data === "boolean" ? `a ${typeof data}` : describe(data);
};

function describe(data: unknown): string {
  if (data === null) return "null";
  if (Array.isArray(data)) return "a list";
  if (typeof data === "object") return "an object";
  if (data === undefined) return "nothing";
  const text = JSON.stringify(data) ?? typeof data;
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

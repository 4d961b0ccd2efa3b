/** Parameters of a run: a JSON object from step to its parameters. */
import { existsSync, readFileSync } from "node:fs";
import * as path from "node:path";
import type { PipelineConnection } from "../../protocol/connection";
import { CliError } from "../errors";

type Parameters = Record<string, unknown>;

/**
 * The program's defaults, when this machine has them (`.sealflow/keys/<stack>/<pipeline>.parameters.json`, written by
 * `up`), with the caller's over them, field by field.
 * @param note told of fields that a step with defaults has no default for: most likely misspelled.
 * @throws CliError PARAMETERS.
 */
export function runParameters(
  home: string,
  { stack, name }: PipelineConnection,
  file: string | undefined,
  note: (line: string) => void,
): Parameters {
  const defaults = path.join(home, "keys", stack, `${name}.parameters.json`);
  const merged: Parameters = existsSync(defaults) ? readParameters(defaults) : {};
  for (const [step, own] of Object.entries(file === undefined ? {} : readParameters(file))) {
    const base = merged[step];
    for (const field of isObject(base) && isObject(own) ? Object.keys(own) : []) {
      if (Object.hasOwn(base as object, field)) continue;
      const known = Object.keys(base as object).join(", ");
      note(`parameters of ${step}: the program has no default for "${field}" (has ${known}). Is it misspelled?`);
    }
    merged[step] = isObject(base) && isObject(own) ? { ...base, ...own } : own;
  }
  return merged;
}

const isObject = (value: unknown): value is object =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** @throws CliError PARAMETERS. */
function readParameters(file: string): Parameters {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (cause) {
    throw new CliError("PARAMETERS", `${file}: cannot be read; it must hold {"<step>": {…parameters}}`, { cause });
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // The parser's message would repeat a piece of the file, and parameters are private.
    throw new CliError("PARAMETERS", `${file}: is not JSON; it must hold {"<step>": {…parameters}}`);
  }
  if (!isObject(value)) {
    throw new CliError("PARAMETERS", `${file}: must hold an object, {"<step>": {…parameters}}`);
  }
  return value as Parameters;
}

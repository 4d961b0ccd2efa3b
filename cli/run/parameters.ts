/** Parameters of a run: a JSON object from step to its parameters. */
import { readFileSync } from "node:fs";
import { CliError } from "../errors";

/** @throws CliError PARAMETERS. */
export function readParameters(file: string): Record<string, unknown> {
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
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new CliError("PARAMETERS", `${file}: must hold an object, {"<step>": {…parameters}}`);
  }
  return value as Record<string, unknown>;
}

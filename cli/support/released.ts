/** Released files as summaries and as lines for people. */
import { readFileSync, statSync } from "node:fs";
import * as path from "node:path";
import { digestFile } from "../../owner/run-folder/layout";
import type { ReleasedFile } from "../run/summary";
import { oneLine } from "./one-line";

/** Larger JSON releases (models) are named, not shown. */
const SHOWN_BYTES = 16 * 1024;
const SHOWN_LINES = 24;

/** @param files release → absolute path. */
export async function releasedFiles(
  root: string,
  files: Readonly<Record<string, string>>,
): Promise<Record<string, ReleasedFile>> {
  const found: Record<string, ReleasedFile> = {};
  for (const [name, file] of Object.entries(files)) {
    const { sha256, size } = await digestFile(file);
    const value = smallJson(file);
    const relative = path.relative(root, file).split(path.sep).join("/");
    found[name] = { file: relative, size, sha256, ...(value === undefined ? {} : { value }) };
  }
  return found;
}

function smallJson(file: string): unknown {
  if (statSync(file).size > SHOWN_BYTES) return undefined;
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return undefined;
  }
}

/** `metrics.logistic.f1  0.9731` for every number, text and truth value of the small releases; the others by file. */
export function releasedLines(released: Readonly<Record<string, ReleasedFile>>): string[] {
  const rows = Object.entries(released).flatMap(([name, { value, file, size }]): [string, string][] => {
    const shown = [...scalars(name, value)];
    return shown.length > 0 ? shown : [[name, `${file} (${size} bytes)`]];
  });
  // Keys and texts are a step's: of whatever its program made.
  const width = Math.max(0, ...rows.map(([name]) => name.length));
  const lines = rows.slice(0, SHOWN_LINES).map(([name, value]) => `  ${name.padEnd(width)}  ${value}`);
  return rows.length > SHOWN_LINES ? [...lines, `  … and ${rows.length - SHOWN_LINES} more`] : lines;
}

function* scalars(name: string, value: unknown): Generator<[string, string]> {
  if (typeof value === "number" || typeof value === "boolean") yield [name, String(value)];
  else if (typeof value === "string") yield [name, oneLine(value.slice(0, 80))];
  else if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    for (const [key, inner] of Object.entries(value)) yield* scalars(oneLine(`${name}.${key.slice(0, 80)}`), inner);
  }
}

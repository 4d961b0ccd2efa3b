/** A spec from a file: JSON in which a name used twice is found, which JSON.parse would drop without a word. */
import { checkSpec } from "./check";
import { type Problem, SpecError } from "./errors";
import type { PipelineSpec } from "./spec";

/**
 * @param text JSON, UTF-8 without a byte order mark
 * @throws SpecError with every problem; for text that is no JSON, with that one
 */
export function parseSpec(text: string): PipelineSpec {
  let spec: unknown;
  try {
    spec = JSON.parse(text);
  } catch (cause) {
    throw new SpecError(undefined, [{ code: "SHAPE", at: "", message: `not JSON. ${placeOf(text, cause)}` }]);
  }
  return checkSpec(spec, repeatedNames(text));
}

/** Line and column from V8's message, without the text around it, which may be private. */
function placeOf(text: string, error: unknown): string {
  const at = /position (\d+)/.exec(error instanceof Error ? error.message : "")?.[1];
  if (at === undefined) return "It ends too early, or begins with something else. Mend it";
  const lines = text.slice(0, Number(at)).split("\n");
  return `Mend line ${lines.length}, column ${(lines.at(-1) as string).length + 1}`;
}

/** @param text valid JSON */
function repeatedNames(text: string): Problem[] {
  const problems: Problem[] = [];
  /** One entry for each object or list that is open: its place, and for an object the names it has had. */
  const open: { at: string; names?: Set<string>; name: string; count: number }[] = [];
  let key = true;
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g)) {
    const top = open.at(-1);
    if (token === "{" || token === "[") {
      open.push({ at: top ? inside(top) : "", name: "", count: 0, ...(token === "{" ? { names: new Set() } : {}) });
      key = token === "{";
    } else if (token === "}" || token === "]") {
      open.pop();
      key = false;
    } else if (token === "," && top) {
      top.count++;
      key = top.names !== undefined;
    } else if (key && top?.names) {
      key = false;
      top.name = JSON.parse(token);
      if (top.names.has(top.name)) {
        problems.push({
          code: "DUPLICATE",
          at: inside(top),
          message: "this name is used twice. Give one of them another name",
        });
      }
      top.names.add(top.name);
    }
  }
  return problems;
}

function inside({ at, names, name, count }: { at: string; names?: Set<string>; name: string; count: number }): string {
  if (!names) return `${at}[${count}]`;
  return at === "" ? name : `${at}.${name}`;
}

/** Compares the inputs of two deployments, field by field and down into maps, so that a preview names what changed. */
import type { AnyDefinition, InputField } from "./definition";
import { isMap, Secret, sameValue, type Value, type Values } from "./values";

export interface Change {
  /** Path in Pulumi's notation: `steps.train.identity`, `steps["a.b"]`. */
  readonly path: string;
  readonly kind: "add" | "delete" | "update";
  readonly replace: boolean;
}

/** Deeper changes are reported at this depth, in path segments. */
const DEPTH = 3;

/**
 * @param ignore top-level fields named by the option `ignoreChanges`. Those that Check computes cannot be ignored: one of
 * them stands for inputs that are not compared themselves, which would get into the state unseen.
 */
export function diffInputs(
  definition: AnyDefinition,
  olds: Values,
  news: Values,
  ignore: readonly string[] = [],
): Change[] {
  const changes: Change[] = [];
  for (const [name, field] of Object.entries(definition.inputs)) {
    if (field.change === "none" || (ignore.includes(name) && !field.computed)) continue;
    const replace = field.change === "replace" || definition.update === undefined;
    const found: Change[] = [];
    collect(name, olds[name], news[name], replace, 1, found);
    changes.push(
      ...found.map((change) => (replacesAlone(field, name, change.path) ? { ...change, replace: true } : change)),
    );
  }
  return changes;
}

const replacesAlone = ({ replaceOnly = [] }: InputField, name: string, path: string): boolean =>
  path === name ? replaceOnly.length > 0 : replaceOnly.some((part) => path === join(name, part));

function collect(
  path: string,
  before: Value | undefined,
  after: Value | undefined,
  replace: boolean,
  depth: number,
  changes: Change[],
): void {
  if (absent(before) && absent(after)) return;
  if (absent(before)) changes.push({ path, kind: "add", replace });
  else if (absent(after)) changes.push({ path, kind: "delete", replace });
  else if (isMap(before) && isMap(after) && depth < DEPTH) {
    const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
    for (const key of keys) collect(join(path, key), before[key], after[key], replace, depth + 1, changes);
  } else if (!sameValue(before, after)) changes.push({ path, kind: "update", replace });
}

function absent(value: Value | undefined): boolean {
  return value === undefined || value === null || (value instanceof Secret && absent(value.value));
}

const join = (path: string, key: string): string =>
  /^[A-Za-z_$][\w$]*$/.test(key) ? `${path}.${key}` : `${path}[${JSON.stringify(key)}]`;

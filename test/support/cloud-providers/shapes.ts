/** Inputs against the declarations of the SDK: names at every depth, kinds of values, closed lists, what is required. */
import { isMap, Secret, Unknown, type Value, type Values } from "../../../provider/server/values";
import type { Fields, Shape } from "./declarations";

/** @returns one line for each value that the SDK's types do not allow. */
export function inputProblems(fields: Fields, values: Values, at = ""): string[] {
  const unknown = Object.keys(values)
    .filter((name) => !Object.hasOwn(fields, name) && name !== "__defaults")
    .map((name) => `${at}${name}: the SDK has no such property (has ${Object.keys(fields).sort().join(", ")})`);
  const wrong = Object.entries(fields).flatMap(([name, { shape, required }]) => {
    const value = values[name];
    if (value === undefined || value === null) return required ? [`${at}${name}: required`] : [];
    return valueProblems(shape, value, `${at}${name}`);
  });
  return [...unknown, ...wrong];
}

function valueProblems(shape: Shape, value: Value, at: string): string[] {
  if (value instanceof Secret) return valueProblems(shape, value.value, at);
  if (value instanceof Unknown || shape.kind === "any") return [];
  switch (shape.kind) {
    case "union": {
      const each = shape.of.map((one) => valueProblems(one, value, at));
      return each.some((problems) => problems.length === 0) ? [] : (each[0] ?? []);
    }
    case "one-of":
      return shape.values.includes(value as string)
        ? []
        : [`${at}: ${JSON.stringify(value)} is none of ${shape.values.join(", ")}`];
    case "array":
      return Array.isArray(value)
        ? value.flatMap((item, i) => valueProblems(shape.of, item, `${at}[${i}]`))
        : [`${at}: expected a list, found ${kindOf(value)}`];
    case "map":
      return isMap(value)
        ? Object.entries(value).flatMap(([key, item]) => valueProblems(shape.of, item, `${at}.${key}`))
        : [`${at}: expected a map, found ${kindOf(value)}`];
    case "object":
      return isMap(value)
        ? inputProblems(shape.fields(), value, `${at}.`)
        : [`${at}: expected ${shape.name}, found ${kindOf(value)}`];
    default:
      return typeof value === shape.kind ? [] : [`${at}: expected a ${shape.kind}, found ${kindOf(value)}`];
  }
}

const kindOf = (value: Value): string =>
  Array.isArray(value) ? "a list" : isMap(value) ? "a map" : `a ${typeof value}`;

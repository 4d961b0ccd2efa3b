/** The generic half of Check: names, types, missing and unknown fields of inputs, all problems at once. */
import type { AnyDefinition, Failure, Field } from "./definition";
import { hasUnknown, isMap, Secret, secret, Unknown, type Value, type Values } from "./values";

/** Removes what only the provider sets, wraps secrets, lists what is wrong. */
export function checkFields(definition: AnyDefinition, news: Values): { inputs: Values; failures: Failure[] } {
  const failures: Failure[] = [];
  const inputs: Values = {};
  for (const name of Object.keys(news)) {
    if (Object.hasOwn(definition.inputs, name) || name.startsWith("__")) continue;
    const known = Object.keys(definition.inputs).filter((key) => !definition.inputs[key]?.computed);
    failures.push({ property: name, reason: `unknown input; ${definition.name} has ${known.join(", ")}` });
  }
  for (const [name, field] of Object.entries(definition.inputs)) {
    const value = news[name];
    if (field.computed) continue;
    if (value === undefined || value === null) {
      if (!field.optional) failures.push({ property: name, reason: `missing: ${field.about}` });
      continue;
    }
    const found = typeName(value);
    if (found !== undefined && found !== field.type && field.type !== "json") {
      failures.push({ property: name, reason: `expected ${article(field)}, found ${found}. ${field.about}` });
      continue;
    }
    inputs[name] = field.secret ? secret(value) : value;
  }
  return { inputs, failures };
}

/** The known part of inputs, for a resource's own check. */
export const knownFields = (inputs: Values): Values =>
  Object.fromEntries(Object.entries(inputs).filter(([, value]) => !hasUnknown(value)));

/** undefined: not known yet. */
function typeName(value: Value): Field["type"] | undefined {
  if (value instanceof Unknown) return undefined;
  if (value instanceof Secret) return typeName(value.value);
  if (Array.isArray(value)) return "list";
  if (isMap(value)) return "object";
  return typeof value as "string" | "number" | "boolean";
}

const article = (field: Field): string => (field.type === "object" ? "an object" : `a ${field.type}`);

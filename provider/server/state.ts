/** Between the engine's values (secrets, unknowns) and a resource's plain inputs and outputs. */
import type { AnyDefinition, PlainValues } from "./definition";
import { type Json, plain, secret, UNKNOWN, type Values } from "./values";

/** Outputs as the engine stores them. Where there is nothing to hide, nothing is encrypted. */
export function markOutputs(definition: AnyDefinition, outputs: PlainValues): Values {
  const marked: Values = {};
  for (const [name, field] of Object.entries(definition.outputs)) {
    const value = outputs[name];
    if (value === undefined) continue;
    marked[name] = field.secret && !isEmpty(value) ? secret(value) : value;
  }
  return marked;
}

/**
 * What a preview shows: the old value where an update cannot change it, unknown elsewhere. */
export function previewOutputs(definition: AnyDefinition, olds?: Values): Values {
  const preview: Values = {};
  for (const [name, field] of Object.entries(definition.outputs)) {
    const old = olds?.[name];
    preview[name] = field.stable && old !== undefined ? old : field.secret ? secret(UNKNOWN) : UNKNOWN;
  }
  return preview;
}

const isEmpty = (value: Json): boolean =>
  value === "" || (typeof value === "object" && value !== null && Object.keys(value).length === 0);

export const plainValues = (values: Values): PlainValues => plain(values) as PlainValues;

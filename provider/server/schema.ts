/** The package schema (Pulumi's format) out of the definitions, for `pulumi package get-schema` and documentation. */
import type { AnyDefinition, Field, FieldType } from "./definition";

const ANY = { $ref: "pulumi.json#/Any" };
const TYPES: Record<FieldType, object> = {
  string: { type: "string" },
  number: { type: "number" },
  boolean: { type: "boolean" },
  object: { type: "object", additionalProperties: ANY },
  list: { type: "array", items: ANY },
  json: ANY,
};

export function packageSchema(version: string, definitions: readonly AnyDefinition[]): object {
  return {
    name: "sealflow",
    version,
    displayName: "Sealflow",
    description: "Confidential machine-learning pipelines",
    license: "Apache-2.0",
    resources: Object.fromEntries(definitions.map((d) => [`sealflow:index:${d.name}`, resourceSchema(d)])),
  };
}

function resourceSchema(definition: AnyDefinition): object {
  const inputs = Object.entries(definition.inputs).filter(([, field]) => !field.computed);
  const outputs = Object.entries(definition.outputs);
  return {
    description: definition.about,
    inputProperties: properties(inputs),
    requiredInputs: inputs.filter(([, field]) => !field.optional).map(([name]) => name),
    properties: properties(outputs),
    required: outputs.map(([name]) => name),
  };
}

function properties(fields: readonly (readonly [string, Field & { secret?: true; change?: string }])[]): object {
  return Object.fromEntries(
    fields.map(([name, field]) => [
      name,
      {
        ...TYPES[field.type],
        description: field.about,
        ...(field.secret ? { secret: true } : {}),
        ...(field.change === "replace" ? { replaceOnChanges: true } : {}),
      },
    ]),
  );
}

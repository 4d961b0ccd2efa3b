/** The engine's calls in the provider's own terms: values in, values out; no gRPC here. */
import { checkFields, knownFields } from "./check";
import type { Context } from "./context";
import type { AnyDefinition, Failure } from "./definition";
import { type Change, diffInputs } from "./diff";
import { ProviderError } from "./errors";
import { markOutputs, plainValues, previewOutputs } from "./state";
import { hasUnknown, type Value, type Values } from "./values";

export interface Known {
  readonly id: string;
  readonly inputs: Values;
  readonly outputs: Values;
}

/**
 * Before a replacement the engine checks a second time, without the inputs of the last deployment; a resource that
 * pins what it cannot compute on this machine needs them then, too. By URN, for the life of the plugin.
 */
const deployed = new Map<string, Values>();

export async function check(
  urn: string,
  definition: AnyDefinition,
  context: Context,
  news: Values,
  olds: Values,
): Promise<{ inputs: Values; failures: Failure[] }> {
  const { inputs, failures } = checkFields(definition, news);
  if (failures.length > 0 || !definition.check) return { inputs, failures };
  if (Object.keys(olds).length > 0) deployed.set(urn, olds);
  const known = deployed.get(urn);
  const before = known && plainValues(knownFields(known));
  const settled = knownFields(inputs);
  const pending = new Set(Object.keys(inputs).filter((name) => !(name in settled)));
  const own = await definition.check(context, plainValues(settled), before, pending);
  return { inputs: { ...inputs, ...own.computed }, failures: [...(own.failures ?? [])] };
}

/** Unknown inputs count as changed: the engine asks again when they are known. */
export function diff(
  definition: AnyDefinition,
  old: Pick<Known, "inputs" | "outputs">,
  news: Values,
  ignore: readonly string[],
): Change[] {
  const changes = diffInputs(definition, old.inputs, news, ignore);
  const known = { inputs: plainValues(knownFields(old.inputs)), outputs: plainValues(knownFields(old.outputs)) };
  const drift = definition.drift?.(known) ?? [];
  return [...changes, ...drift.map((path): Change => ({ path, kind: "update", replace: false }))];
}

export async function create(
  definition: AnyDefinition,
  context: Context,
  inputs: Values,
  preview: boolean,
): Promise<{ id: string; outputs: Values }> {
  if (preview) return { id: "", outputs: previewOutputs(definition) };
  const made = await definition.create(context, plainValues(inputs));
  return { id: made.id, outputs: markOutputs(definition, made.outputs) };
}

export async function update(
  definition: AnyDefinition,
  context: Context,
  old: Known,
  inputs: Values,
  preview: boolean,
): Promise<Values> {
  if (!definition.update) throw new ProviderError("UNSUPPORTED", `${definition.name} is replaced, never updated`);
  if (preview) return { ...previewOutputs(definition, old.outputs), ...foreseen(definition, old, inputs) };
  return markOutputs(definition, await definition.update(context, plainState(old), plainValues(inputs)));
}

/** Only when everything is known: a preview of what is not known yet shows it as unknown. */
function foreseen(definition: AnyDefinition, old: Known, inputs: Values): Values {
  if (!definition.preview || [old.inputs, old.outputs, inputs].some(hasUnknown)) return {};
  const known = definition.preview(plainState(old), plainValues(inputs));
  const marked = markOutputs(definition, { ...plainValues(old.outputs), ...known });
  return Object.fromEntries(Object.keys(known).map((name) => [name, marked[name] as Value]));
}

/** undefined: the engine drops the resource from its state. */
export async function read(definition: AnyDefinition, context: Context, old: Known): Promise<Values | undefined> {
  if (Object.keys(old.outputs).length === 0) {
    const remedy = "Deploy it with `pulumi up`; what exists already is adopted";
    throw new ProviderError("UNSUPPORTED", `${definition.name} cannot be imported. ${remedy}`);
  }
  if (!definition.read) return old.outputs;
  const found = await definition.read(context, plainState(old));
  return found && markOutputs(definition, found);
}

export async function remove(definition: AnyDefinition, context: Context, old: Known): Promise<void> {
  await definition.delete(context, plainState(old));
}

function plainState(old: Known) {
  if (hasUnknown(old.inputs) || hasUnknown(old.outputs)) {
    throw new ProviderError("INPUT", "the stack's state holds unknown values: run `pulumi refresh`, then try again");
  }
  return { id: old.id, inputs: plainValues(old.inputs), outputs: plainValues(old.outputs) };
}

/** A step defined once and used in many pipelines or places, with the formats it reads. */
import { ModelError } from "./errors";
import type { Handle } from "./handle";
import {
  addStep,
  Builder,
  type Condition,
  type OutputFormats,
  type Outputs,
  type Pipeline,
  type StepOptions,
} from "./pipeline";
import type { Format, StepSpec } from "./spec";

export type InputFormats = Readonly<Record<string, Format>>;
/** Handles that fit declared formats. */
export type InputHandles<I> = { readonly [Name in keyof I]: Handle<I[Name] & Format> };

export interface StepDefinition<I extends InputFormats, O extends OutputFormats>
  extends Omit<StepSpec, "inputs" | "outputs" | "when"> {
  /** Name of the file under `/sealflow/in/` → the format that the program can read. */
  readonly inputs?: I;
  /** Name of the file that the program writes under `/sealflow/out/` → its format. */
  readonly outputs?: O;
}

/** What one use of a defined step may change. `args` and `env` are added to the definition's. */
export type StepChanges = Partial<
  Omit<StepSpec, "inputs" | "outputs" | "image" | "command" | "when"> & { readonly when: Condition }
>;

/** Adds the step to a pipeline, under a name, reading these handles. */
export type DefinedStep<I extends InputFormats, O extends OutputFormats> = <const Name extends string>(
  p: Pipeline,
  name: Name,
  inputs: InputHandles<I>,
  changes?: StepChanges,
) => Outputs<Name, O>;

export function defineStep<
  const I extends InputFormats = Record<never, never>,
  const O extends OutputFormats = Record<never, never>,
>(definition: StepDefinition<I, O>): DefinedStep<I, O> {
  const { inputs: formats, ...rest } = definition;
  return (p, name, inputs, changes = {}) => {
    if (!(p instanceof Builder)) {
      throw new ModelError(
        "PIPELINES",
        `step "${name}": the first argument is not a pipeline. Pass what pipeline() gave`,
      );
    }
    const options = {
      ...rest,
      ...changes,
      ...(rest.args || changes.args ? { args: [...(rest.args ?? []), ...(changes.args ?? [])] } : {}),
      ...(rest.env || changes.env ? { env: { ...rest.env, ...changes.env } } : {}),
      inputs: { ...(inputs as Readonly<Record<string, Handle>>) },
    } as StepOptions<O>;
    return p[addStep](name, options, formats ?? {});
  };
}

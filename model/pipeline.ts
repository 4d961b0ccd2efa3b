/** `pipeline("spam")`: writes a PipelineSpec with handles instead of references. */
import { checkSpec } from "./check";
import { ModelError, type Problem } from "./errors";
import { type AnyHandle, type AnyOutput, type Handle, makeHandle, originOf } from "./handle";
import type {
  Duration,
  Format,
  FormatSpec,
  InputSpec,
  PipelineSpec,
  ReleaseSpec,
  ScheduleSpec,
  StepSpec,
} from "./spec";
import { didYouMean, listed } from "./suggest";

export type OutputFormats = Readonly<Record<string, Format | FormatSpec>>;
export type FormatOf<D> = D extends Format ? D : D extends { readonly format: infer F extends Format } ? F : never;
/** Handles of a step, one per output. */
export type Outputs<Step extends string, O> = {
  readonly [Name in keyof O & string]: Handle<FormatOf<O[Name]>, `${Step}.${Name}`>;
};

/** A step as a program writes it: StepSpec with handles as inputs. */
export interface StepOptions<O extends OutputFormats> extends Omit<StepSpec, "inputs" | "outputs" | "when"> {
  /** Name of the file under `/sealflow/in/` → what is in it. */
  readonly inputs?: Readonly<Record<string, AnyHandle>>;
  /** Name of the file that the program writes under `/sealflow/out/` → its format. */
  readonly outputs?: O;
  /** Run only if a declassified output has this value. @default always */
  readonly when?: Condition;
}

export interface Condition {
  /** An output with `declassify`. */
  readonly from: AnyOutput;
  readonly equals: boolean;
}

export interface ScheduleOptions {
  /** How long after its time a slot may still be opened. @default "1h" */
  readonly late?: Duration;
}

export interface ReleaseOptions {
  /** Names of recipients beside the owner, whose public keys the component is given. */
  readonly recipients?: readonly string[];
}

export interface Pipeline {
  readonly name: string;
  /** A dataset that the pipeline reads. @param options `allowUnsafeFormat`: why it may hold pickles */
  input<const Name extends string, const F extends Format>(
    name: Name,
    format: F,
    options?: { readonly allowUnsafeFormat?: string },
  ): Handle<F, Name>;
  /** Adds a step. @returns a handle for each of its outputs */
  step<const Name extends string, const O extends OutputFormats = Record<never, never>>(
    name: Name,
    options: StepOptions<O>,
  ): Outputs<Name, O>;
  /** Lets outputs leave the pipeline, each under a name: the owner and the named recipients can open them. */
  release(outputs: Readonly<Record<string, AnyOutput>>, options?: ReleaseOptions): void;
  /** Lets runs be opened at these times without a key. @param cron five fields, UTC */
  schedule(name: string, cron: string, options?: ScheduleOptions): void;
  /** @throws SpecError with every problem of the pipeline. */
  toJSON(): PipelineSpec;
}

/** @param name [a-z0-9-], 1 to 40 characters */
export function pipeline(name: string, options: { readonly description?: string } = {}): Pipeline {
  return new Builder(name, options.description);
}

/** What defineStep knows more than a caller of `step`: the formats that the program can read. */
export const addStep = Symbol("addStep");

export class Builder implements Pipeline {
  // Without prototypes: any text may come as a name, `__proto__` too, and is refused by name.
  private readonly inputs: Record<string, Format | FormatSpec> = Object.create(null);
  private readonly steps: Record<string, StepSpec> = Object.create(null);
  private readonly releases: Record<string, string | ReleaseSpec> = Object.create(null);
  private readonly schedules: Record<string, string | ScheduleSpec> = Object.create(null);
  /** What plain data could not show: a name used twice. */
  private readonly problems: Problem[] = [];

  constructor(
    readonly name: string,
    private readonly description?: string,
  ) {}

  input<const Name extends string, const F extends Format>(
    name: Name,
    format: F,
    options: { readonly allowUnsafeFormat?: string } = {},
  ): Handle<F, Name> {
    this.once(this.inputs, "inputs", name, "two inputs");
    this.inputs[name] =
      options.allowUnsafeFormat === undefined ? format : { format, allowUnsafeFormat: options.allowUnsafeFormat };
    return makeHandle(this, name, format);
  }

  step<const Name extends string, const O extends OutputFormats = Record<never, never>>(
    name: Name,
    options: StepOptions<O>,
  ): Outputs<Name, O> {
    return this[addStep](name, options);
  }

  [addStep]<Name extends string, O extends OutputFormats>(
    name: Name,
    options: StepOptions<O>,
    formats?: Readonly<Record<string, Format>>,
  ): Outputs<Name, O> {
    this.once(this.steps, "steps", name, "two steps");
    const { inputs, when, ...rest } = options;
    if (formats) this.sameInputs(name, Object.keys(inputs ?? {}), formats);
    const references = Object.entries(inputs ?? {}).map(([input, handle]) => [
      input,
      this.reference(handle, `steps.${name}.inputs.${input}`, formats?.[input]),
    ]);
    const condition = when && {
      ...when,
      // A handle of no pipeline goes into the spec as it is, for the check to name it.
      from: this.reference(when.from, `steps.${name}.when.from`) as string,
    };
    this.steps[name] = {
      ...rest,
      ...(inputs ? { inputs: Object.fromEntries(references) } : {}),
      ...(condition ? { when: condition } : {}),
    };
    const handles = Object.entries(options.outputs ?? {}).map(([output, declared]) => {
      const format = typeof declared === "string" ? declared : declared?.format;
      return [output, makeHandle(this, `${name}.${output}`, format as Format)];
    });
    return Object.freeze(Object.fromEntries(handles)) as Outputs<Name, O>;
  }

  release(outputs: Readonly<Record<string, AnyOutput>>, options: ReleaseOptions = {}): void {
    for (const [name, handle] of Object.entries(outputs)) {
      this.once(this.releases, "releases", name, "two releases");
      const from = this.reference(handle, `releases.${name}`);
      const { recipients } = options;
      this.releases[name] = recipients === undefined || typeof from !== "string" ? from : { from, recipients };
    }
  }

  schedule(name: string, cron: string, { late }: ScheduleOptions = {}): void {
    this.once(this.schedules, "schedules", name, "two schedules");
    this.schedules[name] = late === undefined ? cron : { cron, late };
  }

  toJSON(): PipelineSpec {
    const spec: PipelineSpec = {
      version: 1,
      name: this.name,
      ...(this.description === undefined ? {} : { description: this.description }),
      inputs: this.inputs,
      steps: this.steps,
      releases: this.releases,
      ...(Object.keys(this.schedules).length > 0 ? { schedules: this.schedules } : {}),
    };
    // A copy as JSON has it: later calls do not reach it, and fields that are undefined are gone.
    return checkSpec(JSON.parse(JSON.stringify(spec)), this.problems);
  }

  private once(table: Readonly<Record<string, unknown>>, at: string, name: string, what: string): void {
    if (!Object.hasOwn(table, name)) return;
    const message = `${what} have this name. Give one of them another name`;
    this.problems.push({ code: "DUPLICATE", at: `${at}.${name}`, message });
  }

  /** For callers without the compiler: a defined step gets the inputs it declares, all of them and no others. */
  private sameInputs(step: string, given: readonly string[], formats: Readonly<Record<string, Format>>): void {
    const known = Object.keys(formats);
    for (const input of known.filter((name) => !given.includes(name))) {
      const message = `missing. The step reads "${input}" (${formats[input]}); pass a handle of that format`;
      this.problems.push({ code: "REFERENCE", at: `steps.${step}.inputs.${input}`, message });
    }
    for (const input of given.filter((name) => !known.includes(name))) {
      const message = `the step declares no such input (has ${listed(known)}).${didYouMean(input, known)}`;
      this.problems.push({ code: "REFERENCE", at: `steps.${step}.inputs.${input}`, message });
    }
  }

  private reference(handle: unknown, at: string, format?: Format): string | InputSpec {
    if (handle === undefined) {
      // It would be gone from the copy that JSON makes, and with it the edge: a step without its input.
      const message = "undefined is no handle. Is there an output of that name? `npx tsc` says where it is misspelled";
      this.problems.push({ code: "REFERENCE", at, message });
    }
    const origin = originOf(handle);
    // What is no handle goes into the spec as it is, for the check to name it.
    if (origin === undefined) return handle as string;
    const { ref } = handle as Handle;
    if (origin.pipeline !== this) {
      throw new ModelError(
        "PIPELINES",
        `Pipeline "${this.name}": ${at}: "${ref}" is of another pipeline. Release it there, and read it here as an input`,
      );
    }
    if (!origin.collected && format === undefined) return ref;
    return { from: ref, ...(origin.collected ? { collect: true } : {}), ...(format ? { format } : {}) };
  }
}

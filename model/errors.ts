import { SealflowError } from "../protocol/errors";

/** One thing that is wrong with a spec. */
export interface Problem {
  /** Append only; never changes its meaning. */
  readonly code: ProblemCode;
  /** Path inside the spec, such as `steps.train.inputs.data`; empty: the spec itself. */
  readonly at: string;
  /** What was found and what to do, without the place. */
  readonly message: string;
}

/**
 * Append only.
 * SHAPE: a value of the wrong kind, or a field missing. UNKNOWN_FIELD: a field that does not exist.
 * NAME: a name that is not allowed, or reserved. DUPLICATE: a name used twice. REFERENCE: refers to nothing.
 * FORMAT: a format that does not exist or does not fit. UNSAFE_FORMAT: an allowance that is empty or without effect.
 * LIMIT: a number out of its range. CYCLE: steps that wait for each other. SHARDS: shards that do not fit.
 * DECLASSIFY: a declassified output that is no single bit. SCHEDULE: a cron expression that is none.
 */
export type ProblemCode =
  | "SHAPE"
  | "UNKNOWN_FIELD"
  | "NAME"
  | "DUPLICATE"
  | "REFERENCE"
  | "FORMAT"
  | "UNSAFE_FORMAT"
  | "LIMIT"
  | "CYCLE"
  | "SHARDS"
  | "IMAGE"
  | "COMMAND"
  | "ENV"
  | "FEATURE"
  | "DECLASSIFY"
  | "SCHEDULE";

/**
 * SPEC: a pipeline that cannot be; `problems` has all of them. PIPELINES: a handle of one pipeline used in another.
 * PLATFORM: a platform that cannot be; `problems` has all of them.
 */
export type ModelCode = "SPEC" | "PIPELINES" | "PLATFORM";

export class ModelError extends SealflowError<ModelCode> {}

/** Lines of a message; all problems are in `problems`. */
const MAX_LINES = 100;

/** All problems of one spec; the message has one line for each, at most a hundred. */
export class SpecError extends ModelError {
  /** Pulumi's mark of a mistake in the program: it shows the message alone, without a stack (RunError in its SDK). */
  readonly __pulumiRunError = true;
  readonly problems: readonly Problem[];

  constructor(pipeline: unknown, problems: readonly Problem[]) {
    const lines = problems.slice(0, MAX_LINES).map((problem) => problemText(pipeline, problem));
    if (problems.length > MAX_LINES) lines.push(`… and ${problems.length - MAX_LINES} more problems`);
    super("SPEC", lines.join("\n"));
    this.problems = problems;
  }
}

/** `Pipeline "spam": steps.train: …` */
export function problemText(pipeline: unknown, problem: Problem): string {
  const name = typeof pipeline === "string" ? `Pipeline "${pipeline.slice(0, 60)}"` : "Pipeline";
  return problem.at === "" ? `${name}: ${problem.message}` : `${name}: ${problem.at}: ${problem.message}`;
}

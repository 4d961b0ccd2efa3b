/** Everything that is wrong with a spec, at once. */
import { type Problem, SpecError } from "./errors";
import { isObject } from "./plain";
import { referenceProblems } from "./references";
import { schemaProblems } from "./schema-problems";
import type { PipelineSpec } from "./spec";
import { pipelineProblems } from "./step-problems";

/** @param spec anything; plain data when it comes from a file or another language. @returns no problem: it is a PipelineSpec */
export function validateSpec(spec: unknown): Problem[] {
  const form = schemaProblems(spec);
  if (!isObject(spec)) return form;
  return withoutRepeats([...form, ...pipelineProblems(spec), ...referenceProblems(spec)]);
}

/**
 * @param more problems that the caller has found already
 * @throws SpecError with all problems, one line each
 */
export function checkSpec(spec: unknown, more: readonly Problem[] = []): PipelineSpec {
  const problems = withoutRepeats([...more, ...validateSpec(spec)]);
  if (problems.length > 0) throw new SpecError(isObject(spec) ? spec.name : undefined, problems);
  return spec as PipelineSpec;
}

/** One problem for each place and code: the first says it. */
function withoutRepeats(problems: readonly Problem[]): Problem[] {
  const seen = new Set<string>();
  return problems.filter(({ at, code }) => {
    const key = `${code} ${at}`;
    return seen.has(key) ? false : seen.add(key);
  });
}

/** Everything that is wrong with a pipeline's arguments, at once, before anything is registered. */
import * as pulumi from "@pulumi/pulumi";
import { compilePlan, type FileDataset, type Plan, problemText, validateSpec } from "../../model";
import { SealedDataset } from "../../resources/sealed-dataset";
import { platformProblems } from "../platform/platform";
import type { ConfidentialPipelineArgs } from "./confidential-pipeline";
import { StackRelease } from "./from-stack";

/** Raw 32-byte key in base64url. */
const KEY = /^[A-Za-z0-9_-]{43}$/;

/** @throws RunError with one line for each problem. */
export function checkPlan(name: string, args: ConfidentialPipelineArgs): Plan {
  const problems = validateSpec(args.spec).map((problem) => problemText(args.spec?.name, problem));
  const title = `Pipeline "${args.spec?.name ?? name}"`;
  if (!args.environment) problems.push(`${title}: environment: missing. Pass localEnvironment(), or another one`);
  // Without a sound spec the rest could only guess.
  if (problems.length > 0) throw new pulumi.RunError(problems.join("\n"));
  const plan = trusting(compilePlan(args.spec), args.environment.platform.trustPrograms);
  const more = [...inputProblems(plan, args), ...imageProblems(plan, args), ...recipientProblems(plan, args)];
  more.push(...args.environment.backend.problems(args.environment, plan));
  more.push(...platformProblems(args.environment.platform));
  if (more.length > 0) throw new pulumi.RunError(more.map((problem) => `${title}: ${problem}`).join("\n"));
  return plan;
}

/** What the platform cannot isolate is trusted, for the platform's reason unless the step has its own. */
function trusting(plan: Plan, reason: string | undefined): Plan {
  if (reason === undefined) return plan;
  return { ...plan, steps: plan.steps.map((step) => ({ trustProgram: reason, ...step })) };
}

function inputProblems(plan: Plan, { inputs = {}, keys }: ConfidentialPipelineArgs): string[] {
  const known = plan.inputs.map(({ name }) => name);
  const problems = Object.keys(inputs)
    .filter((name) => !known.includes(name))
    .map((name) => `inputs.${name}: the spec has no such input (has ${listed(known)}). Remove it, or declare it`);
  for (const { name, format } of plan.inputs) {
    const given = inputs[name];
    if (given === undefined) problems.push(`inputs.${name}: missing. Pass dataset.file("…") with ${format} content`);
    else if (given instanceof SealedDataset) {
      if (given.format !== format) {
        problems.push(`inputs.${name}: the dataset is ${given.format}, the spec says ${format}. Make them agree`);
      }
      if (!keys) {
        problems.push(`inputs.${name}: a SealedDataset is sealed with a pipeline's keys. Pass those as keys, too`);
      }
    } else if (given instanceof StackRelease) {
      if (plan.schedules.length > 0) {
        problems.push(
          `inputs.${name}: a schedule's slot cannot pin a run of ${given.stack}. Remove the schedules, or read a dataset`,
        );
      }
    } else if (!isFile(given))
      problems.push(`inputs.${name}: expected dataset.file("…"), a SealedDataset or fromStack(…)`);
  }
  return problems;
}

const isFile = (given: FileDataset): boolean =>
  given?.kind === "file" && typeof given.path === "string" && given.path !== "";

function imageProblems(plan: Plan, { images = {} }: ConfidentialPipelineArgs): string[] {
  const steps = plan.steps.map(({ name }) => name);
  return Object.keys(images)
    .filter((name) => !steps.includes(name))
    .map((name) => `images.${name}: the spec has no such step (has ${listed(steps)})`);
}

function recipientProblems(plan: Plan, { recipients = {} }: ConfidentialPipelineArgs): string[] {
  const problems = Object.entries(recipients).flatMap(([name, key]) => {
    if (name === "owner") return ["recipients.owner: the owner is always a recipient. Remove it"];
    return KEY.test(key) ? [] : [`recipients.${name}: not an X25519 public key (32 bytes in base64url)`];
  });
  const wanted = new Set(plan.releases.flatMap((release) => release.recipients));
  for (const name of wanted) {
    if (name === "owner" || Object.hasOwn(recipients, name)) continue;
    problems.push(`recipients.${name}: a release names this recipient. Pass the X25519 public key`);
  }
  return problems;
}

const listed = (names: readonly string[]): string => (names.length > 0 ? names.join(", ") : "none");

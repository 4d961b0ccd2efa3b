import { SealflowError } from "../../protocol/errors";

/** Append only. STEP_PLAN: the plan does not fit together (all problems are listed); correct the program. */
export type StepCode = "STEP_PLAN";
export class StepError extends SealflowError<StepCode> {}

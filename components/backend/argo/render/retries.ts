/**
 * When a step is started again. The ledger counts attempts and refuses those beyond the step's own; this only decides how
 * often a guest is booted to ask.
 */

/** Exit codes of the runner after which another attempt ends the same way: refused, and not fresh. */
export const FINAL_EXIT_CODES = [20, 31] as const;

/** Starts beyond a step's own attempts, for guests that were lost and for exit code 10, which may not even have claimed. */
export const EXTRA_STARTS = 3;

/** First condition of a Job that has ended, in the selector syntax over JSON paths that Argo's executor evaluates. */
export const JOB_SUCCEEDED = "status.conditions.0.type in (Complete,SuccessCriteriaMet)";
/** Each of them alone is a failure. The first that holds becomes the message, and that one ends the retries. */
export const JOB_FAILED =
  "status.conditions.0.reason==PodFailurePolicy,status.conditions.0.type in (Failed,FailureTarget)";

/** Pauses between attempts. Argo's factor is an integer. */
export interface Backoff {
  readonly seconds: number;
  readonly factor: number;
  readonly maxSeconds: number;
}

/** Of a step with one pod. */
export function retryOfJob(retryLimit: number, { seconds, factor, maxSeconds }: Backoff): object {
  return {
    limit: retryLimit + EXTRA_STARTS,
    retryPolicy: "Always",
    expression: 'not (lastRetry.message contains "PodFailurePolicy")',
    backoff: {
      duration: `${seconds}s`,
      factor: Math.max(1, Math.ceil(factor)),
      cap: `${Math.max(seconds, maxSeconds)}s`,
    },
  };
}

/** Of a step with several pods: its Job starts them again, and an executor that was lost finds that Job again. */
export const retryOfExecutor = (): object => ({
  limit: EXTRA_STARTS,
  retryPolicy: "Always",
  expression: 'not (lastRetry.message contains "failure condition")',
});

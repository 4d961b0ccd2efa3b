import { SealflowError } from "../protocol/errors";

/**
 * Append only. USAGE: arguments that do not fit. NOT_DEPLOYED: no pipeline connection of that name; run "up" first.
 * PARAMETERS: the parameter file is no JSON object. CONNECTION: a public connection file is damaged. NO_RUN: no run of
 * that name. NO_LOG: no such log. NO_WORKLOAD: the local backend has no workload for the pipeline. DEPLOYMENT: Pulumi
 * failed. KEY_TEXT: neither a key nor a file that holds one. EXISTS: init would overwrite files. PREVIEW: what `diff` got
 * is not the output of `pulumi preview --json`. NO_SCHEDULE: no schedule of that name, or no slot of it to open. IMPORTS: no run of
 * another pipeline to read from. ROTATION: the keys cannot be rotated now, or not from here. BACKUP_OTHER: a backup of another pipeline,
 * or of one that nobody named.
 */
export type CliCode =
  | "USAGE"
  | "NOT_DEPLOYED"
  | "PARAMETERS"
  | "CONNECTION"
  | "NO_RUN"
  | "NO_LOG"
  | "NO_WORKLOAD"
  | "DEPLOYMENT"
  | "KEY_TEXT"
  | "EXISTS"
  | "PREVIEW"
  | "NO_SCHEDULE"
  | "IMPORTS"
  | "ROTATION"
  | "BACKUP_OTHER";
export class CliError extends SealflowError<CliCode> {}

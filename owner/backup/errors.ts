import { SealflowError } from "../../protocol/errors";

/** Append only. BACKUP_FORM: not a backup. BACKUP_KEY: not made for this recovery key, or changed. */
export type BackupCode = "BACKUP_FORM" | "BACKUP_KEY";
export class BackupError extends SealflowError<BackupCode> {}

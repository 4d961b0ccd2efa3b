export { type KeyBackup, openBackup, sealBackup } from "./backup";
export { BackupError } from "./errors";
export { backedUp, backedUpPipeline, readRestored, removeRestored, writeBackupRecord, writeRestored } from "./records";

export { type KeyBackup, openBackup, sealBackup } from "./backup";
export { BackupError } from "./errors";
export { backedUp, readRestored, removeRestored, writeBackupRecord, writeRestored } from "./records";

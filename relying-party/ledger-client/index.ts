export type { LedgerEvent, RunLog, RunState, RunStatus, Version, WorkState } from "./answers";
export { LedgerClient, type LedgerClientOptions, type ReadAccess, type VerifiedHead } from "./client";
export { LedgerRefusal } from "./errors";

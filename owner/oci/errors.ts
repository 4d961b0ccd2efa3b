import { SealflowError } from "../../protocol/errors";

/**
 * Append only. SOURCE_MISSING: nothing where the source should be, or not of that kind. SOURCE_ENTRY: a folder holds
 * what no image can. SOURCE_CHANGED: it changed while it was read; try again when nothing writes to it.
 */
export type SourceCode = "SOURCE_MISSING" | "SOURCE_ENTRY" | "SOURCE_CHANGED";
export class SourceError extends SealflowError<SourceCode> {}

/** Append only. DISK_FULL: no space left where the sealed file is written; free some and try again. */
export class DiskError extends SealflowError<"DISK_FULL"> {}

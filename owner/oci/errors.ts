import { SealflowError } from "../../protocol/errors";

/**
 * Append only. SOURCE_MISSING: nothing where the source should be, or not of that kind. SOURCE_ENTRY: a folder holds
 * what no image can. SOURCE_CHANGED: it changed while it was read; try again when nothing writes to it.
 */
export type SourceCode = "SOURCE_MISSING" | "SOURCE_ENTRY" | "SOURCE_CHANGED";
export class SourceError extends SealflowError<SourceCode> {}

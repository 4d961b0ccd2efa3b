export { KbsAdmin, type KbsAdminOptions } from "./admin";
export type { CanaryReport } from "./canary";
export { type KbsCode, KbsError } from "./errors";
export { type SampleSession, sampleHandshake } from "./handshake";

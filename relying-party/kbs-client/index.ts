export { KbsAdmin, type KbsAdminOptions } from "./admin";
export {
  type AdminKey,
  adminPublicPem,
  adminTokens,
  createAdminKey,
  mintAdminToken,
  parseAdminKey,
} from "./admin-key";
export type { CanaryReport } from "./canary";
export { type KbsCode, KbsError } from "./errors";
export { type SampleSession, sampleHandshake } from "./handshake";

import type { Rule } from "../types";
import { encryptedStorage } from "./encrypted-storage";
import { pinnedImages } from "./pinned-images";
import { encryptedScratch, noServiceAccountToken, noSubPath } from "./pod-surface";
import { closedAdminApi, relyingPartyElsewhere } from "./relying-party";
import { runtimeClass } from "./runtime-class";
import { noWaivers } from "./waivers";

/** All rules, each mandatory. */
export const RULES: readonly Rule[] = [
  runtimeClass,
  pinnedImages,
  noWaivers,
  relyingPartyElsewhere,
  noSubPath,
  noServiceAccountToken,
  encryptedScratch,
  encryptedStorage,
  closedAdminApi,
];

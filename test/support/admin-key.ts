/** Admin access to development key brokers in tests. */
import { readFileSync } from "node:fs";
import * as path from "node:path";
import { adminRules } from "../../relying-party/dev";
import type { AdminRules } from "../../relying-party/dev-kbs";
import { adminTokens, createAdminKey, parseAdminKey } from "../../relying-party/kbs-client";

export const TEST_ADMIN_KEY = parseAdminKey(createAdminKey(), "test");
export const TEST_ADMIN: AdminRules = adminRules(TEST_ADMIN_KEY);

/** @param home state folder of a relying party that `sealflow dev` runs. */
export function devAdminTokens(home: string): () => Promise<string> {
  const file = path.join(home, "dev", "admin-key.jwk");
  return adminTokens(parseAdminKey(readFileSync(file, "utf8"), file));
}

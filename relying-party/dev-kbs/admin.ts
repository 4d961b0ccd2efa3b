/** Who may call the admin endpoints: bearer tokens of one key, roles by path. Decides and answers as Trustee 0.22 does. */
import { createPublicKey, type KeyObject } from "node:crypto";
import { type JWTPayload, jwtVerify } from "jose";
import type { AdminClaims } from "../../policy";
import { KbsRefusal } from "./errors";

/** As Trustee's `[admin]`: one identity provider and its access rules. */
export interface AdminRules {
  /** SPKI PEM of an Ed25519 key. */
  readonly publicKeyPem: string;
  readonly issuer: AdminClaims["issuer"];
  readonly audience: AdminClaims["audience"];
  /** The regular expression is matched against path and query. */
  readonly acls: readonly { readonly role: string; readonly allowedEndpoints: string }[];
}

/** Leeway of Trustee's JWT library, seconds. */
const LEEWAY_SECONDS = 60;

/** @param endpoint as Trustee names it in its answer; undefined on the routes of plugins. @throws KbsRefusal. */
export type AdminCheck = (request: Request, endpoint: string | undefined) => Promise<void>;

export function adminCheck(rules: AdminRules, now: () => number): AdminCheck {
  const key = createPublicKey(rules.publicKeyPem);
  const acls = rules.acls.map(({ role, allowedEndpoints }) => ({ role, regex: new RegExp(allowedEndpoints) }));
  return async (request, endpoint) => {
    const reason = await refusal(request);
    if (reason === undefined) return;
    // Trustee converts the error of a plugin's route into another type.
    if (endpoint === undefined) {
      throw new KbsRefusal("AdminAuthInitialization", `failed to initialize [admin] configuration: ${reason}`);
    }
    throw new KbsRefusal("AdminAuthAccess", `admin access denied for endpoint ${endpoint}: ${reason}`);
  };

  async function refusal(request: Request): Promise<string | undefined> {
    const token = /^Bearer (\S+)$/.exec(request.headers.get("authorization") ?? "")?.[1];
    if (token === undefined) return "Failed to parse HTTP Auth Bearer header";
    const claims = await verified(token, key, now);
    const audiences = claims === undefined ? [] : [claims.aud ?? []].flat();
    if (claims?.iss !== rules.issuer || !audiences.includes(rules.audience)) {
      return "Admin access denied: Cannot verify token with any of the issuers";
    }
    const { role } = claims;
    if (typeof role !== "string") {
      return "Admin access denied: Failed to parse claims from token: Missing required `role` claim in JWT";
    }
    const { pathname, search } = new URL(request.url);
    const path = pathname + search;
    if (acls.some((acl) => acl.role === role && acl.regex.test(path))) return undefined;
    return `Admin access denied: Role ${role} not allowed for path ${path}`;
  }
}

async function verified(token: string, key: KeyObject, now: () => number): Promise<JWTPayload | undefined> {
  const options = { algorithms: ["EdDSA"], clockTolerance: LEEWAY_SECONDS, requiredClaims: ["exp"] };
  try {
    return (await jwtVerify(token, key, { ...options, currentDate: new Date(now()) })).payload;
  } catch {
    return undefined;
  }
}

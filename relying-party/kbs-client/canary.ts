/** Does the KBS decide with our policies? They cannot be read back, so a simulated guest tries. */
import { randomBytes } from "node:crypto";
import { GRANT_CLAIM, grantId, grantValue, identityOf, type PolicyMode, renderInitdata } from "../../policy";
import type { HttpsClient } from "../http/client";
import { KbsError } from "./errors";
import { type SampleSession, sampleHandshake } from "./handshake";

export interface CanaryReport {
  /** Of the attestation policy that was found. */
  readonly mode: PolicyMode;
  /** What was observed, for people. */
  readonly checks: readonly string[];
}

/** What it does as the administrator: `KbsAdmin`. */
export interface CanaryAdmin {
  putResource(path: string, bytes: Uint8Array): Promise<void>;
  deleteResource(path: string): Promise<boolean>;
  putGrant(id: string, value: unknown): Promise<void>;
  revokeGrant(id: string): Promise<void>;
}

/** The canary's own namespace; its grants are revoked again. */
const NAMESPACE = "sealflow/canary";

/** @throws KbsError POLICIES. */
export async function runCanary(
  admin: CanaryAdmin,
  http: HttpsClient,
  mode: PolicyMode | "any",
): Promise<CanaryReport> {
  const tag = randomBytes(16).toString("hex");
  const granted = `${NAMESPACE}/${tag}`;
  const secret = randomBytes(16);
  const initdata = renderInitdata({ algorithm: "sha256", data: { "canary.txt": `${tag}\n` } });
  const id = grantId("sample", identityOf("sample", initdata, "sha256"));
  await admin.putResource(granted, secret);
  await admin.putGrant(id, grantValue({ tee: "sample", paths: [granted] }));
  try {
    const guest = await sampleHandshake(http, initdata);
    const { status, grant } = cpuOf(guest.claims);
    if (!grant) throw wrong("the token carries no grant, so another attestation policy is installed");
    const simulated = status === "affirming";
    if (simulated && mode === "production") {
      throw wrong("a simulated guest is affirming: the development policy is installed");
    }
    if (!simulated && mode === "development") {
      throw wrong(`a simulated guest is "${status}", so this is not the development policy`);
    }
    return simulated ? await development(guest) : await production(guest);
  } finally {
    await admin.revokeGrant(id);
    await admin.deleteResource(granted);
  }

  async function development(guest: SampleSession): Promise<CanaryReport> {
    const got = await guest.resource(granted).catch((error) => {
      throw wrong("a granted resource is refused, so another resource policy is installed", error);
    });
    if (!Buffer.from(got).equals(secret)) throw wrong("a granted resource came back changed");
    await refused(guest.resource(`${NAMESPACE}/other`), "a resource that was not granted");
    const without = await sampleHandshake(http, null);
    await refused(without.resource(granted), "a guest booted without initdata");
    return {
      mode: "development",
      checks: ["grant read", "resource released", "other resource refused", "guest without initdata refused"],
    };
  }

  async function production(guest: SampleSession): Promise<CanaryReport> {
    await refused(guest.resource(granted), "a simulated guest");
    const without = await sampleHandshake(http, null);
    await refused(without.resource(granted), "a guest booted without initdata");
    return {
      mode: "production",
      checks: ["grant claim present", "simulated guest refused", "guest without initdata refused"],
    };
  }
}

const wrong = (what: string, cause?: unknown): KbsError =>
  new KbsError("POLICIES", `canary: ${what}; install Sealflow's policies on this KBS again`, { cause });

/** A guest without a grant must be refused by the policy; "not found" would mean that the policy let it through. */
async function refused(attempt: Promise<unknown>, who: string): Promise<void> {
  try {
    await attempt;
  } catch (error) {
    if (error instanceof KbsError && error.kbsType === "PolicyDeny") return;
    if (error instanceof KbsError && error.code === "DOWN") throw error;
    throw wrong(`${who} was not refused by the resource policy`, error);
  }
  throw wrong(`${who} got a resource`);
}

function cpuOf(claims: Record<string, unknown>): { status: unknown; grant: unknown } {
  const submods = claims.submods as Record<string, Record<string, unknown>> | undefined;
  return { status: submods?.cpu0?.["ear.status"], grant: submods?.cpu0?.[GRANT_CLAIM] };
}

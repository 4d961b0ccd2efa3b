/** The RCAR handshake: sessions, sample evidence, appraisal, token. */
import { createHash, randomBytes } from "node:crypto";
import { initdataClaims, parseInitdata } from "../../policy";
import { base64, utf8 } from "../../protocol/bytes";
import { jcs } from "../../protocol/canonical";
import { sha384 } from "../../protocol/crypto";
import {
  type Attestation,
  attestation,
  RCAR_VERSION,
  rcarRequest,
  runtimeDataClaims,
  sampleEvidence,
  sampleEvidenceBinds,
} from "../../protocol/rcar";
import { parse } from "../../protocol/shape";
import { attestFailed, authFailed } from "./errors";
import type { Policies } from "./policies";
import type { TokenIssuer } from "./token";

/** Trustee's default `timeout`. */
const SESSION_MS = 5 * 60_000;
const MAX_SESSIONS = 10_000;
export const SESSION_COOKIE = "kbs-session-id";

interface Session {
  readonly tee: string;
  readonly nonce: string;
  readonly expires: number;
  token?: string;
}

export interface Handshakes {
  auth(body: unknown): Response;
  attest(body: unknown, sessionId: string | undefined): Promise<Response>;
  /** Token of an attested session. */
  tokenOf(sessionId: string | undefined): string | undefined;
}

export function handshakes(policies: Policies, tokens: TokenIssuer, now: () => number): Handshakes {
  // In memory: a restart makes guests shake hands again, as Trustee's Memory session storage does.
  const sessions = new Map<string, Session>();

  const alive = (id: string | undefined): Session | undefined => {
    const session = id === undefined ? undefined : sessions.get(id);
    return session && session.expires > now() ? session : undefined;
  };

  const answer = (id: string, session: Session, body: unknown): Response =>
    new Response(JSON.stringify(body), {
      headers: {
        "content-type": "application/json",
        "set-cookie": `${SESSION_COOKIE}=${id}; Expires=${new Date(session.expires).toUTCString()}`,
      },
    });

  return {
    auth(body) {
      let request: ReturnType<typeof asRequest>;
      try {
        request = asRequest(body);
      } catch {
        throw authFailed("deserialize Request");
      }
      if (request.version !== RCAR_VERSION) {
        throw authFailed(
          `KBS Client Protocol Version Mismatch: expect =${RCAR_VERSION} while the request is ${request.version}`,
        );
      }
      if (request.tee !== "sample" && request.tee !== "sampledevice") {
        throw authFailed(`the development KBS verifies sample evidence only, not ${request.tee.slice(0, 40)}`);
      }
      for (const [id, session] of sessions) {
        if (session.expires > now() && sessions.size < MAX_SESSIONS) break;
        sessions.delete(id);
      }
      const id = randomBytes(16).toString("hex");
      const session: Session = { tee: request.tee, nonce: base64(randomBytes(32)), expires: now() + SESSION_MS };
      sessions.set(id, session);
      return answer(id, session, { nonce: session.nonce, "extra-params": "" });
    },

    async attest(body, sessionId) {
      try {
        const session = alive(sessionId);
        if (!session || sessionId === undefined) throw new Error("no such session");
        const message = parse(attestation, body, "attestation");
        if (session.token === undefined) {
          if (message["runtime-data"].nonce !== session.nonce) throw new Error("the nonce is of another session");
          session.token = await tokens.sign(claimsOf(message, session, policies));
        }
        return answer(sessionId, session, { token: session.token });
      } catch (cause) {
        throw attestFailed(cause);
      }
    },

    tokenOf: (id) => alive(id)?.token,
  };
}

const asRequest = (body: unknown) => parse(rcarRequest, body, "request");

/** The EAR: one submodule per piece of evidence, named by class and counted per class. */
function claimsOf(message: Attestation, session: Session, policies: Policies): Record<string, unknown> {
  const { nonce, "tee-pubkey": key } = message["runtime-data"];
  const { primary_evidence, additional_evidence } = message["tee-evidence"];
  const runtime = runtimeDataClaims(nonce, key, additional_evidence);
  const pieces = [
    {
      tee: session.tee,
      evidence: primary_evidence,
      report: sha384(utf8(jcs(runtime))),
      initdata: message["init-data"],
    },
    ...additionalPieces(additional_evidence).map(([tee, evidence]) => ({
      tee,
      evidence,
      report: sha384(utf8(jcs({ nonce, "tee-pubkey": runtime["tee-pubkey"] }))),
      initdata: null,
    })),
  ];
  const counts: Record<string, number> = {};
  const submods: Record<string, unknown> = {};
  for (const { tee, evidence, report, initdata } of pieces) {
    const { teeClass, claims } = verifySample(tee, evidence, report);
    const annotated = {
      ...claims,
      ...initdataFields(initdata),
      report_data: base64(report),
      runtime_data_claims: runtime,
    };
    const index = counts[teeClass] ?? 0;
    counts[teeClass] = index + 1;
    submods[`${teeClass}${index}`] = submodule(policies.appraise(teeClass, annotated), annotated);
  }
  return {
    eat_profile: "tag:github.com,2024:confidential-containers/Trustee",
    iss: "CoCo-Attestation-Service",
    "ear.verifier-id": { developer: "sealflow", build: "development KBS: proves nothing" },
    submods,
  };
}

function additionalPieces(text: string): [string, unknown][] {
  if (text === "") return [];
  const pieces: unknown = JSON.parse(text);
  if (typeof pieces !== "object" || pieces === null || Array.isArray(pieces)) throw new Error("additional evidence");
  return Object.entries(pieces);
}

/** Claims of the sample verifier: deps/verifier/src/sample/mod.rs. */
function verifySample(tee: string, evidence: unknown, report: Uint8Array) {
  const checked = parse(sampleEvidence, evidence, "evidence");
  if (!sampleEvidenceBinds(checked, report)) throw new Error("report data does not match");
  if (tee === "sample") {
    const platform_version = { major: 1, minor: 4 };
    const sample = { svn: checked.svn, launch_digest: "abcde", platform_version, debug: false };
    return { teeClass: "cpu", claims: { sample } };
  }
  if (tee === "sampledevice") return { teeClass: "gpu", claims: { sampledevice: { svn: checked.svn } } };
  throw new Error(`no verifier for ${tee}`);
}

/** A guest without initdata has null claims, which the policies deny. */
function initdataFields(initdata: Attestation["init-data"]) {
  if (initdata === null) return { init_data_claims: null };
  const document = parseInitdata(initdata.body);
  const digest = createHash(document.algorithm).update(initdata.body).digest();
  return { init_data: base64(digest), init_data_claims: initdataClaims(document) };
}

/** All names of AR4SI; a policy sets some of them, the others are 0 (no statement). */
const TRUST_CLAIMS = [
  "instance-identity",
  "configuration",
  "executables",
  "file-system",
  "hardware",
  "runtime-opaque",
  "storage-opaque",
  "sourced-data",
];

function submodule(
  { trustClaims, extensions }: ReturnType<Policies["appraise"]>,
  annotated: Record<string, unknown>,
): Record<string, unknown> {
  const unknown = Object.keys(trustClaims).find((name) => !TRUST_CLAIMS.includes(name));
  if (unknown) throw new Error(`the attestation policy sets an unknown trust claim "${unknown}"`);
  const vector = Object.fromEntries(TRUST_CLAIMS.map((name) => [name, trustClaims[name] ?? 0]));
  const added = extensions.filter(({ value }) => value !== null).map(({ name, value }) => [name, value]);
  return {
    "ear.status": statusOf(Math.max(...Object.values(vector).map(tier))),
    "ear.trustworthiness-vector": vector,
    "ear.appraisal-policy-id": "default",
    ...Object.fromEntries(added),
    "ear.veraison.annotated-evidence": annotated,
  };
}

/** AR4SI tiers: 2 to 31 affirming, 32 to 95 warning, 96 to 127 contraindicated; 0 and 1 say nothing. */
const tier = (value: number): number => (value >= 96 ? 3 : value >= 32 ? 2 : value >= 2 ? 1 : 0);
const statusOf = (worst: number): string => ["none", "affirming", "warning", "contraindicated"][worst] ?? "none";

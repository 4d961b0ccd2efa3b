/** Attestation tokens: EAR as a JWT, ES256, the key in the header as Trustee's attestation service does. */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { type JWTPayload, jwtVerify, SignJWT } from "jose";
import { KbsRefusal } from "./errors";
import type { Store } from "./store";

/** Trustee's default, `duration_min`. */
const LIFE_SECONDS = 5 * 60;
/** Leeway of Trustee's JWT library; an issued token lives up to six minutes. */
const LEEWAY_SECONDS = 60;

export interface TokenIssuer {
  sign(claims: Record<string, unknown>): Promise<string>;
  /** @throws KbsRefusal TokenVerifierError. */
  verify(token: string): Promise<JWTPayload>;
}

export function tokenIssuer(store: Store, now: () => number): TokenIssuer {
  const privateKey = signingKey(store);
  const publicKey = createPublicKey(privateKey);
  const jwk = { ...publicKey.export({ format: "jwk" }), alg: "ES256" };
  return {
    sign: (claims) => {
      const iat = Math.floor(now() / 1000);
      return new SignJWT({ ...claims, iat, exp: iat + LIFE_SECONDS })
        .setProtectedHeader({ alg: "ES256", typ: "JWT", jwk })
        .sign(privateKey);
    },
    verify: async (token) => {
      try {
        const { payload } = await jwtVerify(token, publicKey, {
          algorithms: ["ES256"],
          currentDate: new Date(now()),
          clockTolerance: LEEWAY_SECONDS,
          requiredClaims: ["exp"],
        });
        return payload;
      } catch (cause) {
        throw new KbsRefusal("TokenVerifierError", "Token Verifier error", { cause });
      }
    },
  };
}

function signingKey(store: Store): KeyObject {
  const kept = store.get("meta", "token-key");
  if (kept) return createPrivateKey({ key: Buffer.from(kept), format: "der", type: "pkcs8" });
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  store.set("meta", "token-key", privateKey.export({ format: "der", type: "pkcs8" }));
  return privateKey;
}

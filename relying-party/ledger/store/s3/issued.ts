/** What every source of S3 credentials gives. */
import { refused, wordOf } from "../issuer";
import type { Held } from "../renewed";

export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

export type Env = Readonly<Record<string, string | undefined>>;

/** Fields as STS, containers and instances name them. */
export interface IssuedFields {
  readonly AccessKeyId?: unknown;
  readonly SecretAccessKey?: unknown;
  readonly Token?: unknown;
  readonly Expiration?: unknown;
  /** Of instances: `Success`, or what is wrong. */
  readonly Code?: unknown;
}

/** @throws LedgerError STORE_REFUSED when the answer holds no credentials. */
export function issued(from: string, { AccessKeyId, SecretAccessKey, Token, Expiration, Code }: IssuedFields) {
  if (typeof AccessKeyId !== "string" || typeof SecretAccessKey !== "string" || !AccessKeyId || !SecretAccessKey) {
    throw refused(200, `${from}: no credentials in the answer ${wordOf(Code)}`.trimEnd());
  }
  const expiresAt = Date.parse(typeof Expiration === "string" ? Expiration : "");
  const held: Held<S3Credentials> = {
    value: {
      accessKeyId: AccessKeyId,
      secretAccessKey: SecretAccessKey,
      ...(typeof Token === "string" && Token ? { sessionToken: Token } : {}),
    },
    ...(Number.isFinite(expiresAt) ? { expiresAt } : {}),
  };
  return held;
}

/**
 * Signed URLs for one blob, by a key that storage gives the ledger's identity for some days ("user delegation"): they can
 * do no more than the identity itself, and the account needs no keys.
 * Source: Azure Storage REST, "Create a user delegation SAS", version 2020-12-06 and later.
 */
import { base64, fromBase64, utf8 } from "../../../../protocol/bytes";
import { hmacSha256 } from "../../../../protocol/crypto";
import { xmlText } from "../xml";

/** Of requests and signatures. */
export const VERSION = "2024-11-04";

export interface DelegationKey {
  /** Whose it is. */
  readonly objectId: string;
  readonly tenantId: string;
  /** Times as storage writes them. */
  readonly start: string;
  readonly expiry: string;
  readonly service: string;
  readonly version: string;
  readonly value: Uint8Array;
}

/** Seconds since 1970 as storage writes times. */
export const timeText = (seconds: number): string => new Date(seconds * 1000).toISOString().replace(/\.\d+Z$/, "Z");

/** @returns undefined when the answer lacks something. */
export function delegationKeyOf(xml: string): DelegationKey | undefined {
  const names = ["SignedOid", "SignedTid", "SignedStart", "SignedExpiry", "SignedService", "SignedVersion", "Value"];
  const [objectId, tenantId, start, expiry, service, version, value] = names.map((name) => xmlText(xml, name));
  if (!objectId || !tenantId || !start || !expiry || !service || !version || !value) return undefined;
  return { objectId, tenantId, start, expiry, service, version, value: fromBase64(value) };
}

export interface SasArgs {
  readonly account: string;
  /** `<container>/<blob>`. */
  readonly blob: string;
  /** `r` or `w`: an URL is for one operation. */
  readonly permission: "r" | "w";
  /** Seconds since 1970. */
  readonly until: number;
  /** `https`, but for a store on this machine. */
  readonly protocol: "https" | "https,http";
}

/** @returns the parameters of the URL. */
export function sasOf(
  key: DelegationKey,
  { account, blob, permission, until, protocol }: SasArgs,
): Record<string, string> {
  const named: Record<string, string> = {
    sp: permission,
    se: timeText(until),
    skoid: key.objectId,
    sktid: key.tenantId,
    skt: key.start,
    ske: key.expiry,
    sks: key.service,
    skv: key.version,
    spr: protocol,
    sv: VERSION,
    sr: "b",
  };
  const of = (name: string) => named[name] ?? "";
  const lines = [
    of("sp"),
    "", // from when: now
    of("se"),
    `/blob/${account}/${blob}`,
    ...["skoid", "sktid", "skt", "ske", "sks", "skv"].map(of),
    ...["", "", "", ""], // users on whose behalf, a correlation id, addresses
    ...["spr", "sv", "sr"].map(of),
    ...["", "", "", "", "", "", ""], // snapshot, encryption scope, headers of the answer
  ];
  return { ...named, sig: base64(hmacSha256(key.value, utf8(lines.join("\n")))) };
}

/** Public keys on the command line: the 43 characters themselves, or a file that holds them. */
import { existsSync, readFileSync } from "node:fs";
import * as path from "node:path";
import { CliError } from "../errors";

const RAW = /^[A-Za-z0-9_-]{43}$/;

/**
 * A raw key in base64url, a public or private OKP JWK, or a (pipeline) connection file, of which `field` is taken.
 * @throws CliError KEY_TEXT.
 */
export function publicKeyText(given: string, field: "ownerPublicKey" | "ledgerKey", cwd: string): string {
  return keyText(given, "Ed25519", field, cwd);
}

/** A recipient's or recovery key: raw, or a JWK file (a private one serves as well). @throws CliError KEY_TEXT. */
export const recipientKeyText = (given: string, cwd: string): string => keyText(given, "X25519", undefined, cwd);

function keyText(given: string, crv: "Ed25519" | "X25519", field: string | undefined, cwd: string): string {
  if (RAW.test(given)) return given;
  const file = path.resolve(cwd, given);
  if (!existsSync(file)) throw new CliError("KEY_TEXT", `"${given}" is neither a key (43 characters) nor a file`);
  const text = readFileSync(file, "utf8").trim();
  if (RAW.test(text)) return text;
  const found = fromJson(text, crv, field);
  if (typeof found === "string" && RAW.test(found)) return found;
  throw new CliError(
    "KEY_TEXT",
    `${file}: holds no ${crv} key (expected 43 characters, a JWK${field ? `, or JSON with "${field}"` : ""})`,
  );
}

function fromJson(text: string, crv: string, field: string | undefined): unknown {
  try {
    const value = JSON.parse(text) as Record<string, unknown>;
    if (value.kty === "OKP" && value.crv === crv) return value.x;
    return field === undefined ? undefined : value[field];
  } catch {
    return undefined;
  }
}

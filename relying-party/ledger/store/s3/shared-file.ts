/**
 * Static keys of a profile in a shared credentials file (AWS_SHARED_CREDENTIALS_FILE, AWS_PROFILE). Profiles that lead
 * elsewhere (credential_process, source_profile, SSO) are for people's machines and are not followed.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { LedgerError } from "../../errors";
import type { Looked } from "../issuer";
import type { Env, S3Credentials } from "./issued";

/** Keys in a mounted Secret are changed without a restart, milliseconds. */
const REREAD_MS = 60_000;

export function fromSharedFile(env: Env, home: string): Looked<S3Credentials> {
  const named = env.AWS_SHARED_CREDENTIALS_FILE;
  const file = named ?? join(home, ".aws", "credentials");
  const profile = env.AWS_PROFILE ?? "default";
  // Who names a file or a profile means no other role.
  const lacks = (nothing: string): { nothing: string } => {
    if (named ?? env.AWS_PROFILE) throw new LedgerError("STORE_REFUSED", `object store: ${nothing}`);
    return { nothing };
  };
  const text = textOf(file);
  if (text === undefined) return lacks(`${file} (not there)`);
  const values = profileOf(text, profile);
  const { aws_access_key_id: accessKeyId, aws_secret_access_key: secretAccessKey, aws_session_token: token } = values;
  if (accessKeyId && secretAccessKey) {
    return {
      value: { accessKeyId, secretAccessKey, ...(token ? { sessionToken: token } : {}) },
      rereadAfter: REREAD_MS,
    };
  }
  return lacks(`${file} (no aws_access_key_id and aws_secret_access_key in [${profile}])`);
}

/** undefined when there is none. @throws LedgerError for one that is there and cannot be read: it may be the one that is meant. */
function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    const { code = "unreadable" } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw new LedgerError("STORE_REFUSED", `object store: ${file}: ${code}`);
  }
}

function profileOf(text: string, profile: string): Readonly<Record<string, string>> {
  const values: Record<string, string> = Object.create(null);
  let inside = false;
  for (const line of text.split("\n")) {
    const section = /^\s*\[([^\]]+)\]/.exec(line)?.[1]?.trim();
    if (section !== undefined) inside = section === profile;
    const [, key, value] = /^\s*([a-z_]+)\s*=\s*(\S+)\s*$/.exec(line) ?? [];
    if (inside && key && value) values[key] = value;
  }
  return values;
}

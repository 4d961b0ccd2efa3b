/**
 * Backup format v1: JWE in general JSON serialisation (RFC 7516 section 7.2.1), one recipient for each recovery key,
 * ECDH-ES+A256KW (RFC 7518 section 4.6, X25519 by RFC 8037), content A256GCM. The protected header has `typ` and, so that
 * people can tell backups apart, the public names `pipeline` and `pipelineUid`. The plaintext is canonical JSON of KeyBackup.
 */
import type { KeyObject } from "node:crypto";
import { GeneralEncrypt, generalDecrypt } from "jose";
import { utf8 } from "../../protocol/bytes";
import { jcs } from "../../protocol/canonical";
import { publicKey, rawPublic } from "../../protocol/crypto";
import { hex32, name } from "../../protocol/messages/common";
import { literal, object, parse, text } from "../../protocol/shape";
import { parseRoot, publicFacts } from "../keys";
import { BackupError } from "./errors";

const TYP = "sealflow-backup.1";

export const keyBackup = object({
  v: literal(1),
  // Both become parts of file names.
  pipeline: name,
  stack: name,
  stackUuid: text({ max: 32 }),
  pipelineUid: hex32,
  /** The root secret's text form. */
  root: text({ max: 200 }),
});

/** Everything that a deployment needs to become what it was: the root, and the random id of the stack. */
export interface KeyBackup {
  readonly v: 1;
  readonly pipeline: string;
  readonly stack: string;
  readonly stackUuid: string;
  readonly pipelineUid: string;
  readonly root: string;
}

/** @param recoveryKeys raw X25519 public keys, base64url; at least one. @throws BackupError BACKUP_FORM without one. */
export async function sealBackup(backup: KeyBackup, recoveryKeys: readonly string[]): Promise<string> {
  if (recoveryKeys.length === 0)
    throw new BackupError("BACKUP_FORM", "a backup needs a recovery key to be opened with");
  const jwe = new GeneralEncrypt(utf8(jcs({ ...backup }))).setProtectedHeader({
    enc: "A256GCM",
    typ: TYP,
    pipeline: backup.pipeline,
    pipelineUid: backup.pipelineUid,
  });
  for (const raw of [...new Set(recoveryKeys)]) {
    jwe.addRecipient(publicKey("X25519", raw)).setUnprotectedHeader({ alg: "ECDH-ES+A256KW", kid: raw });
  }
  return `${JSON.stringify(await jwe.encrypt())}\n`;
}

/**
 * Opens a backup and checks that its root and stack give the pipeline it names. Who sealed it, it does not say: whoever
 * knows a recovery key's public half can, so compare `pipelineUid` with what is known from elsewhere.
 * @param where names the file in errors. @throws BackupError
 */
export async function openBackup(content: string, key: KeyObject, where: string): Promise<KeyBackup> {
  const opened = parsed(await decrypted(content, key, where), where);
  const facts = publicFacts(parseRoot(opened.root, where), opened.stackUuid, opened.pipeline);
  if (facts.pipelineUid === opened.pipelineUid) return opened;
  throw new BackupError("BACKUP_FORM", `${where}: its root does not give the pipeline that it names`);
}

async function decrypted(content: string, key: KeyObject, where: string): Promise<string> {
  let jwe: Parameters<typeof generalDecrypt>[0];
  try {
    jwe = JSON.parse(content);
  } catch {
    throw new BackupError("BACKUP_FORM", `${where}: not a backup (no JSON)`);
  }
  const mine = rawPublic(key);
  const kids = Array.isArray(jwe?.recipients) ? jwe.recipients.map(({ header }) => header?.kid) : [];
  if (kids.length === 0) throw new BackupError("BACKUP_FORM", `${where}: not a backup (no recipients)`);
  if (!kids.includes(mine)) {
    throw new BackupError("BACKUP_KEY", `${where}: is for the recovery keys ${kids.join(", ")}, not for ${mine}`);
  }
  try {
    const { plaintext, protectedHeader } = await generalDecrypt(jwe, key, {
      keyManagementAlgorithms: ["ECDH-ES+A256KW"],
      contentEncryptionAlgorithms: ["A256GCM"],
    });
    if (protectedHeader?.typ !== TYP) throw new Error("other type");
    return new TextDecoder("utf-8", { fatal: true }).decode(plaintext);
  } catch (cause) {
    throw new BackupError("BACKUP_KEY", `${where}: does not open with the recovery key ${mine}: it was changed`, {
      cause,
    });
  }
}

function parsed(plaintext: string, where: string): KeyBackup {
  try {
    return parse(keyBackup, JSON.parse(plaintext), "backup");
  } catch {
    // The cause could quote the content.
    throw new BackupError("BACKUP_FORM", `${where}: not the content of a backup`);
  }
}

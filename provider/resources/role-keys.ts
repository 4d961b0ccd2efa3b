/** The caller's own keys on this machine: the run key opens runs, the release key opens releases. JWK, 0600. */

import type { KeyObject } from "node:crypto";
import { existsSync, renameSync, rmSync } from "node:fs";
import * as path from "node:path";
import { KeyError, readKeyFile, writeKeyFile } from "../../owner/keys";
import { type Curve, rawPublic } from "../../protocol/crypto";
import { ownerReleaseKey, type Root, runKey } from "../../protocol/keys";
import { stackFolder } from "../files";

export interface RoleKeyPlace {
  readonly home: string;
  readonly stack: string;
  readonly pipeline: string;
}

interface RoleKey {
  readonly file: string;
  readonly curve: Curve;
  readonly key: KeyObject;
}

function roleKeys({ home, stack, pipeline }: RoleKeyPlace, root: Root): RoleKey[] {
  const folder = stackFolder(home, "keys", { stack, pipeline });
  const file = (role: string) => path.join(folder, `${pipeline}.${role}.jwk`);
  return [
    { file: file("run"), curve: "Ed25519", key: runKey(root) },
    { file: file("owner-release"), curve: "X25519", key: ownerReleaseKey(root) },
  ];
}

/** Keys of an earlier deployment stay readable beside the new ones: they still open what was released then. */
export function writeRoleKeys(place: RoleKeyPlace, root: Root): void {
  for (const role of roleKeys(place, root)) {
    if (existsSync(role.file) && !holds(role)) renameSync(role.file, asideName(role));
    writeKeyFile(role.file, role.key);
  }
}

/** Whether the files are there and hold the keys of this root. */
export const hasRoleKeys = (place: RoleKeyPlace, root: Root): boolean => roleKeys(place, root).every(holds);

/** Leaves files of another root alone: after a replacement they are the new one's. */
export function removeRoleKeys(place: RoleKeyPlace, root: Root): void {
  for (const role of roleKeys(place, root)) if (holds(role)) rmSync(role.file, { force: true });
}

function holds({ file, curve, key }: RoleKey): boolean {
  try {
    return rawPublic(readKeyFile(file, curve)) === rawPublic(key);
  } catch (error) {
    if (error instanceof KeyError) return false;
    throw error;
  }
}

function asideName({ file, curve }: RoleKey): string {
  let old = "unreadable";
  try {
    old = rawPublic(readKeyFile(file, curve)).slice(0, 8);
  } catch (error) {
    if (!(error instanceof KeyError)) throw error;
  }
  return file.replace(/\.jwk$/, `.${old}.old.jwk`);
}

/**
 * Where this machine keeps the admin key of a key broker. Never an input, never in a stack's state: a file that only its
 * owner reads, found by the relying party it is for.
 */
import { createHash } from "node:crypto";
import * as path from "node:path";
import { KeyError, readPrivateFile } from "../owner/keys";
import type { RelyingPartyReference } from "../protocol/connection";
import { type AdminKey, KbsError, parseAdminKey } from "../relying-party/kbs-client";
import type { Context } from "./server/context";

export const ADMIN_KEY_VARIABLE = "SEALFLOW_KBS_ADMIN_KEY_FILE";

type Place = Pick<RelyingPartyReference, "kbsUrl" | "caPem">;
type Home = Pick<Context, "home" | "env">;

/** In-cluster names repeat from cluster to cluster, so the CA is part of the name. */
export function adminKeyFile({ home }: Home, { kbsUrl, caPem }: Place): string {
  const { hostname, port } = new URL(kbsUrl);
  const host = hostname.replace(/[^A-Za-z0-9.-]/g, "_");
  const ca = createHash("sha256").update(caPem.trim()).digest("hex").slice(0, 12);
  return path.join(home, "admin-keys", `${host}-${port || 443}-${ca}.jwk`);
}

/** The file that the environment names instead. */
export const adminKeyOverride = ({ env }: Home): string | undefined => env[ADMIN_KEY_VARIABLE] || undefined;

/** @param place undefined: the relying party of this machine. @throws KbsError ADMIN_KEY. */
export function readAdminKey(context: Home, place: Place | undefined): AdminKey {
  const override = adminKeyOverride(context);
  const local = path.join(context.home, "dev", "admin-key.jwk");
  const file = override ?? (place === undefined ? local : adminKeyFile(context, place));
  try {
    return forBroker(parseAdminKey(readPrivateFile(file, "admin key of the key broker"), file), place, file);
  } catch (cause) {
    if (!(cause instanceof KeyError)) throw cause;
    const remedy =
      override !== undefined
        ? `${ADMIN_KEY_VARIABLE} names it`
        : place === undefined
          ? "Start the relying party of this machine again, which makes it: npx sealflow dev"
          : `Put the key of ${place.kbsUrl} there, or name its file in ${ADMIN_KEY_VARIABLE}`;
    throw new KbsError("ADMIN_KEY", `${cause.message}. ${remedy}`, { cause });
  }
}

/** Whoever gets a token can use it at every key broker that knows the key. @throws KbsError ADMIN_KEY */
function forBroker(key: AdminKey, place: Place | undefined, file: string): AdminKey {
  const asked = place?.kbsUrl;
  if (key.kbsUrl === undefined || (asked !== undefined && new URL(asked).origin === new URL(key.kbsUrl).origin))
    return key;
  throw new KbsError(
    "ADMIN_KEY",
    `${file}: is the admin key of ${key.kbsUrl}, and ${asked ?? "the relying party of this machine"} gets no token of it. ` +
      "Put the key of that one into .sealflow/admin-keys/",
  );
}

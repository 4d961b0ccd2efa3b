import { randomBytes } from "node:crypto";
import { base64url } from "../../protocol/bytes";
import { privateKey, rawPublic } from "../../protocol/crypto";
import type { Definition } from "../server/definition";

interface Outputs {
  ledgerKey: string;
  seed: string;
  urlSeed: string;
}

/** Replicas of a ledger have one key, so it cannot be made by whichever starts first. */
export const ledgerKeys: Definition<Record<string, never>, Outputs> = {
  name: "LedgerKeys",
  about: "The keys of a ledger whose replicas run elsewhere: the one that signs, and the one of its object URLs.",
  inputs: {},
  outputs: {
    ledgerKey: { type: "string", stable: true, about: "Public: auditors verify with it. base64url of 32 bytes." },
    seed: { type: "string", stable: true, secret: true, about: "Ed25519 seed, base64url." },
    urlSeed: { type: "string", stable: true, secret: true, about: "Key of the object URLs, base64url." },
  },

  async create() {
    const seed = randomBytes(32);
    const ledgerKey = rawPublic(privateKey("Ed25519", seed));
    return { id: ledgerKey, outputs: { ledgerKey, seed: base64url(seed), urlSeed: base64url(randomBytes(32)) } };
  },

  /** It lives in the state alone; a database made with it becomes useless when it is lost (docs/kubernetes.md). */
  async delete() {},
};

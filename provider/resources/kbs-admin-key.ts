import { existsSync, renameSync, rmSync } from "node:fs";
import { readPrivateFile, writePrivateFile } from "../../owner/keys";
import { rawPublic } from "../../protocol/crypto";
import { pem, url } from "../../protocol/messages/common";
import { adminPublicPem, createAdminKey, parseAdminKey } from "../../relying-party/kbs-client";
import { adminKeyFile, adminKeyOverride } from "../admin-key";
import type { Definition } from "../server/definition";
import { shapeFailures } from "../shapes";

interface Inputs {
  kbsUrl: string;
  caPem: string;
}
interface Outputs {
  publicKeyPem: string;
  publicKey: string;
}

/** Public in the state, private in a file of this machine. Whoever has the file administers the key broker. */
export const kbsAdminKey: Definition<Inputs, Outputs> = {
  name: "KbsAdminKey",
  about: "The key that signs admin tokens for one key broker; the private half stays in a file of this machine.",
  inputs: {
    kbsUrl: { type: "string", about: "URL of the key broker." },
    caPem: { type: "string", about: "CA of the key broker, PEM." },
  },
  outputs: {
    publicKeyPem: { type: "string", stable: true, about: "Public half, PEM, for the key broker's configuration." },
    publicKey: { type: "string", stable: true, about: "Public half, base64url of 32 bytes." },
  },

  async check(_context, news) {
    return { failures: shapeFailures(news, { kbsUrl: url, caPem: pem }) };
  },

  /** A key that is there already is taken: `up` may have broken off, or the administrator has put it there. */
  async create(context, inputs) {
    const file = adminKeyOverride(context) ?? adminKeyFile(context, inputs);
    if (!adminKeyOverride(context) && !existsSync(file)) writePrivateFile(file, createAdminKey());
    const outputs = publicHalf(file);
    return { id: outputs.publicKey, outputs };
  },

  /** The key broker has another address or CA: the same key, under its new name. */
  async update(context, old, inputs) {
    const [from, to] = [adminKeyFile(context, old.inputs), adminKeyFile(context, inputs)];
    if (from !== to && existsSync(from) && !existsSync(to)) renameSync(from, to);
    return old.outputs;
  },

  /** On another machine there is no file, and nothing to say. */
  async read(context, { inputs, outputs }) {
    const file = adminKeyOverride(context) ?? adminKeyFile(context, inputs);
    return existsSync(file) ? publicHalf(file) : outputs;
  },

  async delete(context, { inputs }) {
    rmSync(adminKeyFile(context, inputs), { force: true });
  },
};

function publicHalf(file: string): Outputs {
  const key = parseAdminKey(readPrivateFile(file, "admin key of the key broker"), file);
  return { publicKeyPem: adminPublicPem(key), publicKey: rawPublic(key.key) };
}

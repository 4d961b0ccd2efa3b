import { randomBytes } from "node:crypto";
import { createReadStream, rmSync } from "node:fs";
import * as path from "node:path";
import { digestDataset, sealDataset } from "../../owner/dataset";
import { base64url } from "../../protocol/bytes";
import { signJws } from "../../protocol/jws";
import { ownerKey } from "../../protocol/keys";
import type { DescriptorDataset, UploadRequest } from "../../protocol/messages";
import { isName } from "../../protocol/names";
import type { LedgerClient } from "../../relying-party/ledger-client";
import { type Keys, type KeysInput, keysField, openKeys } from "../keys";
import {
  type AtRelyingParty,
  deleteAt,
  ledgerKeyField,
  ledgerKeyOf,
  relyingPartyField,
  withRelyingParty,
} from "../relying-party";
import { sealing } from "../sealing";
import type { Context } from "../server/context";
import type { Definition } from "../server/definition";
import { absolute, checkSource, needSource, sourceDigestField, sourceField } from "../source";
import { isLive, keepLive } from "./live";

interface Inputs extends AtRelyingParty {
  keys: KeysInput;
  dataset: string;
  format: DescriptorDataset["format"];
  source: { kind: "file"; path: string };
  deleteObject?: boolean;
  sourceDigest?: string;
  ledgerKey?: string;
}

interface Outputs {
  entry: DescriptorDataset;
  size: number;
}

export const sealedDataset: Definition<Inputs, Outputs> = {
  name: "SealedDataset",
  about: "A dataset sealed on this machine and uploaded as ciphertext.",
  inputs: {
    keys: keysField,
    dataset: { type: "string", change: "replace", about: "Id of the dataset in its pipeline: [a-z0-9-], at most 40." },
    format: { type: "string", change: "replace", about: "Format of the file, as its readers check it." },
    source: { ...sourceField, about: '{kind: "file", path}; the path is relative to the project.' },
    deleteObject: { type: "boolean", optional: true, about: "Delete the object with the resource. Default: false." },
    sourceDigest: sourceDigestField,
    relyingParty: relyingPartyField,
    ledgerKey: ledgerKeyField,
  },
  outputs: {
    entry: { type: "object", stable: true, about: "The dataset's entry of the version's descriptor; public." },
    size: { type: "number", stable: true, about: "Bytes of the ciphertext." },
  },

  async check(context, news, olds, pending) {
    const { dataset, source } = news;
    if (dataset !== undefined && !isName(dataset)) {
      return {
        failures: [{ property: "dataset", reason: `"${dataset}" is not a name: [a-z0-9-], 1 to 40 characters` }],
      };
    }
    if (source === undefined) return {};
    if (source.kind !== "file" || typeof source.path !== "string") {
      return { failures: [{ property: "source", reason: 'expected {kind: "file", path: "…"}' }] };
    }
    const file = absolute(context, source.path);
    const from = olds?.source?.path === undefined ? undefined : [absolute(context, olds.source.path)];
    const { computed, failures = [] } = await checkSource(context, file, () => digestDataset(file), olds, from);
    return { computed: { ...computed, ledgerKey: ledgerKeyOf({ context, news, pending }, olds?.ledgerKey) }, failures };
  },

  async create(context, inputs) {
    const file = absolute(context, inputs.source.path);
    needSource(context, file);
    const keys = openKeys(context, inputs.keys);
    const { dataset: id, format } = inputs;
    const out = path.join(context.home, "sealing", `${base64url(randomBytes(9))}.sealed`);
    try {
      const sealed = await sealing.run(
        context.signal,
        () => {
          const { signal } = context;
          const onProgress = (message: string) => context.log.status(message);
          return sealDataset({ id, path: file, format, root: keys.root, out, onProgress, signal });
        },
        () => context.log.status("waits for other sealing to end"),
      );
      const { contentDigest, digest, size } = sealed;
      const object = await upload(context, inputs, keys, out, { digest, size });
      keepLive(object);
      return { id: object, outputs: { entry: { format, id, contentDigest, digest, size, object }, size } };
    } finally {
      rmSync(out, { force: true });
    }
  },

  /** Only what happens to the object later can change in place. */
  update: async (_context, old) => old.outputs,

  async delete(context, { inputs, outputs }) {
    const { object, digest, size } = outputs.entry;
    if (isLive(object)) return;
    if (!inputs.deleteObject) {
      context.log.info(`leaves ${object} in the store (${size} bytes of ciphertext); deleteObject: true removes it`);
      return;
    }
    const keys = openKeys(context, inputs.keys);
    await deleteAt(context, inputs, `the object ${object}`, async ({ ledger }) => {
      const token = await uploadToken(context, ledger, keys, "delete", { digest, size });
      try {
        await ledger.deleteObject(token);
      } catch (error) {
        if ((error as { code?: unknown }).code !== "OBJECT_IN_USE") throw error;
        context.log.info(`leaves ${object} in the store: a version that still runs reads it`);
      }
    });
  },
};

async function upload(
  context: Context,
  at: AtRelyingParty,
  keys: Keys,
  file: string,
  sealed: { digest: string; size: number },
): Promise<string> {
  context.log.status(`uploading ${sealed.size} bytes`);
  const { object } = await withRelyingParty(context, at, async ({ ledger }) =>
    ledger.upload(await uploadToken(context, ledger, keys, "put", sealed), () =>
      createReadStream(file, { highWaterMark: 1 << 20 }),
    ),
  );
  return object;
}

function uploadToken(
  context: Context,
  { ledgerKey }: Pick<LedgerClient, "ledgerKey">,
  { root, facts: { ownerPublicKey } }: Keys,
  action: UploadRequest["action"],
  object: { digest: string; size: number },
): Promise<string> {
  const issuedAt = Math.floor(context.now().getTime() / 1000);
  const nonce = base64url(randomBytes(32));
  const request: UploadRequest = { v: 1, ledgerKey, ownerPublicKey, action, ...object, issuedAt, nonce };
  return signJws("sealflow-upload+jwt", request, ownerKey(root));
}

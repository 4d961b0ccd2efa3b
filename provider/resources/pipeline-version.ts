import { randomBytes } from "node:crypto";
import { signRevocation } from "../../owner/descriptor";
import { ownerSigningKey } from "../../protocol/keys";
import type { DescriptorDataset, DescriptorStep } from "../../protocol/messages";
import { type KeysInput, keysField, openKeys } from "../keys";
import { deleteAt, relyingPartyDigest, relyingPartyField, withRelyingParty } from "../relying-party";
import type { Context } from "../server/context";
import type { Definition } from "../server/definition";
import { hasConnectionFile, removeConnectionFile, writeConnectionFile } from "../version/connection-file";
import { removeParameters, writeParameters } from "../version/parameters-file";
import { listVersions, registerVersion } from "../version/register";
import { collectRetired } from "../version/retired";

interface Inputs {
  keys: KeysInput;
  steps: Record<string, DescriptorStep>;
  datasets?: Record<string, DescriptorDataset>;
  releases?: Record<string, { from: string; recipients?: string[] }>;
  recipients?: Record<string, string>;
  runKeys?: string[];
  drainSeconds?: number;
  runSeconds?: number;
  parameters?: Record<string, object>;
  relyingParty?: string;
}

interface Outputs {
  pipelineUid: string;
  digest: string;
  sequence: number;
  ledgerKey: string;
  connectionFile: string;
}

/** Updated in place: each update registers the next version, which closes the one before. */
export const pipelineVersion: Definition<Inputs, Outputs> = {
  name: "PipelineVersion",
  about: "The owner-signed description of a pipeline in the ledger: what may run, until the next version.",
  inputs: {
    keys: keysField,
    steps: { type: "object", about: "Step name to `entry` of its StepIdentity." },
    datasets: { type: "object", optional: true, about: "Pipeline input to `entry` of its SealedDataset." },
    releases: { type: "object", optional: true, about: "Release name to {from: step.output, recipients}." },
    recipients: { type: "object", optional: true, about: "Recipient name to X25519 key, beside the owner." },
    runKeys: { type: "list", optional: true, about: "Ed25519 keys that may open runs, beside the pipeline's own." },
    drainSeconds: {
      type: "number",
      optional: true,
      about: "How long open runs of the version before may go on. Default: 0.",
    },
    runSeconds: {
      type: "number",
      optional: true,
      about: "Seconds after which a run's secrets are deleted. Default: 30 days.",
    },
    parameters: {
      type: "object",
      optional: true,
      secret: true,
      about: "Step to the defaults of its parameters, for `sealflow run` on this machine; no part of the version.",
    },
    relyingParty: relyingPartyField,
  },
  outputs: {
    pipelineUid: { type: "string", stable: true, about: "Self-certifying id of the pipeline." },
    digest: { type: "string", about: "Digest of the signed version, 64 hex digits." },
    sequence: { type: "number", about: "Counts up by one with every version." },
    ledgerKey: { type: "string", about: "Ed25519 key of the ledger that has it." },
    connectionFile: {
      type: "string",
      about: "Public file for run, status and fetch, relative to the project; empty when a refresh did not find it.",
    },
  },

  async check(context, _news, olds) {
    return { computed: { relyingParty: relyingPartyDigest(context, olds?.relyingParty) } };
  },

  async create(context, inputs) {
    const outputs = await register(context, inputs, undefined);
    return { id: outputs.pipelineUid, outputs };
  },

  update: (context, old, inputs) => register(context, inputs, old.outputs),

  async read(context, { inputs, outputs }) {
    const keys = openKeys(context, inputs.keys);
    const versions = await withRelyingParty(context, ({ ledger }) => listVersions(context, ledger, keys));
    const latest = versions.at(-1);
    if (!latest || latest.state === "closed" || latest.state === "revoked") return undefined;
    const there = hasConnectionFile(context, inputs.keys, latest.digest);
    const connectionFile = there ? outputs.connectionFile : "";
    return { ...outputs, digest: latest.digest, sequence: latest.sequence, connectionFile };
  },

  drift: ({ outputs }) => (outputs.connectionFile === "" ? ["connectionFile"] : []),

  async delete(context, { inputs, outputs }) {
    const keys = openKeys(context, inputs.keys);
    const order = { pipelineUid: outputs.pipelineUid, descriptor: null, reason: "destroyed", random: randomBytes(32) };
    const token = await signRevocation(order, ownerSigningKey(keys.root));
    await deleteAt(context, `the versions of pipeline ${inputs.keys.pipeline}`, async (party) => {
      try {
        await party.ledger.revoke(token);
      } catch (error) {
        if ((error as { code?: unknown }).code !== "PIPELINE_UNKNOWN") throw error;
      }
      await collectRetired(context, party, keys);
    });
    removeConnectionFile(context, inputs.keys);
    removeParameters(context, inputs.keys);
    context.log.info(
      `closed pipeline ${inputs.keys.pipeline}; objects of its runs stay in the store until they expire`,
    );
  },
};

async function register(context: Context, inputs: Inputs, old: Outputs | undefined): Promise<Outputs> {
  const keys = openKeys(context, inputs.keys);
  return withRelyingParty(context, async (party) => {
    const version = await registerVersion(context, party, keys, inputs, old);
    await collectRetired(context, party, keys);
    const connectionFile = writeConnectionFile(context, inputs.keys, party.connection, keys.facts, version.token);
    writeParameters(context, inputs.keys, inputs.parameters ?? {});
    const { digest, sequence } = version;
    return {
      pipelineUid: keys.facts.pipelineUid,
      digest,
      sequence,
      ledgerKey: party.connection.ledgerKey,
      connectionFile,
    };
  });
}

import { randomBytes } from "node:crypto";
import { signRevocation } from "../../owner/descriptor";
import { type BackendReference, backendReference } from "../../protocol/connection";
import { jwsDigest } from "../../protocol/jws";
import { ownerKey } from "../../protocol/keys";
import type { DescriptorDataset, DescriptorStep } from "../../protocol/messages";
import { edge, key32, name } from "../../protocol/messages/common";
import { NAME } from "../../protocol/names";
import { integer, list, object, optional, record } from "../../protocol/shape";
import type { KbsAdmin } from "../../relying-party/kbs-client";
import { type KeysInput, keysField, openKeys } from "../keys";
import {
  type AtRelyingParty,
  deleteAt,
  relyingPartyDigest,
  relyingPartyDigestField,
  relyingPartyField,
  withRelyingParty,
} from "../relying-party";
import type { Context } from "../server/context";
import type { Definition } from "../server/definition";
import { shapeFailures } from "../shapes";
import { hasConnectionFile, removeConnectionFile, writeConnectionFile } from "../version/connection-file";
import { removeParameters, writeParameters } from "../version/parameters-file";
import { listVersions, registerVersion } from "../version/register";
import { collectRetired, forgetRunning } from "../version/retired";
import { signSchedules } from "../version/schedules";

interface Inputs extends AtRelyingParty {
  keys: KeysInput;
  steps: Record<string, DescriptorStep>;
  datasets?: Record<string, DescriptorDataset>;
  releases?: Record<string, { from: string; recipients?: string[] }>;
  recipients?: Record<string, string>;
  runKeys?: string[];
  schedules?: Record<string, { cron: string; lateSeconds: number }>;
  drainSeconds?: number;
  runSeconds?: number;
  parameters?: Record<string, object>;
  deleteObjects?: boolean;
  backend?: BackendReference;
  relyingPartyDigest?: string;
}

interface Outputs {
  pipelineUid: string;
  digest: string;
  sequence: number;
  ledgerKey: string;
  connectionFile: string;
  scheduleTokens?: Record<string, string>;
}

const SHAPES = {
  releases: record(NAME, object({ from: edge, recipients: optional(list(name, 100)) }), 1000),
  recipients: record(NAME, key32, 100),
  runKeys: list(key32, 100),
  drainSeconds: integer(0, 31_536_000),
  runSeconds: integer(60, 315_360_000),
  backend: backendReference,
};

/** Updated in place: each update registers the next version, which closes the one before. */
export const pipelineVersion: Definition<Inputs, Outputs> = {
  name: "PipelineVersion",
  about: "The owner-signed description of a pipeline in the ledger: what may run, until the next version.",
  inputs: {
    // A rotation is the next version of the same pipeline; other keys are another pipeline.
    keys: { ...keysField, change: "update", replaceOnly: ["pipeline", "stack", "pipelineUid", "stackUuid", "source"] },
    steps: { type: "object", about: "Step name to `entry` of its StepIdentity." },
    datasets: { type: "object", optional: true, about: "Pipeline input to `entry` of its SealedDataset." },
    releases: { type: "object", optional: true, about: "Release name to {from: step.output, recipients}." },
    recipients: { type: "object", optional: true, about: "Recipient name to X25519 key, beside the owner." },
    runKeys: { type: "list", optional: true, about: "Ed25519 keys that may open runs, beside the pipeline's own." },
    schedules: {
      type: "object",
      optional: true,
      about: "Schedule name to {cron, lateSeconds}; its slots open runs without a key. Default: none.",
    },
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
    deleteObjects: {
      type: "boolean",
      optional: true,
      about: "Delete the objects of all runs with the pipeline, releases among them. Default: false.",
    },
    backend: {
      type: "object",
      optional: true,
      about: "Where `sealflow run` submits runs: {kind, namespace, template}. Default: on the caller's machine.",
    },
    parameters: {
      type: "object",
      optional: true,
      secret: true,
      about: "Step to the defaults of its parameters, for `sealflow run` on this machine; no part of the version.",
    },
    relyingParty: relyingPartyField,
    relyingPartyDigest: relyingPartyDigestField,
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
    scheduleTokens: { type: "object", about: "Schedule name to the signed schedule; public." },
  },

  async check(context, news, olds, pending) {
    const failures = shapeFailures(news, SHAPES);
    const digest = relyingPartyDigest({ context, news, pending }, olds?.relyingPartyDigest);
    return { computed: { relyingPartyDigest: digest }, failures };
  },

  async create(context, inputs) {
    const outputs = await register(context, inputs, undefined);
    return { id: outputs.pipelineUid, outputs };
  },

  update: (context, old, inputs) => register(context, inputs, old.outputs),

  async read(context, { inputs, outputs }) {
    const keys = openKeys(context, inputs.keys);
    const versions = await withRelyingParty(context, inputs, async ({ kbs, ledger }) => {
      await checkPolicies(context, kbs);
      return listVersions(context, ledger, keys);
    });
    const latest = versions.at(-1);
    if (!latest || latest.state === "closed" || latest.state === "revoked") return undefined;
    const there = hasConnectionFile(context, inputs.keys, latest.digest);
    const connectionFile = there ? outputs.connectionFile : "";
    return { ...outputs, digest: latest.digest, sequence: latest.sequence, connectionFile };
  },

  drift: ({ outputs }) => (outputs.connectionFile === "" ? ["connectionFile"] : []),

  async delete(context, { inputs, outputs }) {
    const keys = openKeys(context, inputs.keys);
    const { deleteObjects = false } = inputs;
    const closed = { pipelineUid: outputs.pipelineUid, descriptor: null, reason: "destroyed", deleteObjects };
    await deleteAt(context, inputs, `the versions of pipeline ${inputs.keys.pipeline}`, async (party) => {
      const order = { ...closed, ledgerKey: party.ledger.ledgerKey, random: randomBytes(32) };
      const token = await signRevocation(order, ownerKey(keys.root));
      try {
        await party.ledger.revoke(token);
      } catch (error) {
        if ((error as { code?: unknown }).code !== "PIPELINE_UNKNOWN") throw error;
      }
      forgetRunning(keys);
      await collectRetired(context, party, keys);
    });
    removeConnectionFile(context, inputs.keys);
    removeParameters(context, inputs.keys);
    context.log.info(
      `closed pipeline ${inputs.keys.pipeline}; objects of its runs stay in the store until they expire`,
    );
  },
};

/** Policies cannot be read back; a simulated guest tries them. */
async function checkPolicies(context: Context, kbs: KbsAdmin): Promise<void> {
  try {
    await kbs.canary("any");
  } catch (error) {
    if ((error as { code?: unknown }).code !== "POLICIES") throw error;
    context.log.warn((error as Error).message);
  }
}

async function register(context: Context, inputs: Inputs, old: Outputs | undefined): Promise<Outputs> {
  const keys = openKeys(context, inputs.keys);
  return withRelyingParty(context, inputs, async (party) => {
    const schedules = await signSchedules(keys, inputs, old?.scheduleTokens ?? {});
    const listed = Object.fromEntries(Object.entries(schedules).map(([name, token]) => [name, jwsDigest(token)]));
    const version = await registerVersion(context, party, keys, { ...inputs, schedules: listed }, old);
    forgetRunning(keys);
    await collectRetired(context, party, keys);
    const { connection } = party;
    const { token } = version;
    const connectionFile = writeConnectionFile(context, inputs.keys, connection, keys.facts, token, {
      backend: inputs.backend,
      schedules,
    });
    writeParameters(context, inputs.keys, inputs.parameters ?? {});
    const { digest, sequence } = version;
    return {
      pipelineUid: keys.facts.pipelineUid,
      digest,
      sequence,
      ledgerKey: party.connection.ledgerKey,
      connectionFile,
      scheduleTokens: schedules,
    };
  });
}

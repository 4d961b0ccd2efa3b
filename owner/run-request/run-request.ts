/** What a caller with a run key signs: run requests, cancellations, read tokens. The root is not needed for any. */
import type { KeyObject } from "node:crypto";
import { base64url, utf8 } from "../../protocol/bytes";
import { jcs } from "../../protocol/canonical";
import { rawPublic } from "../../protocol/crypto";
import { SealflowError } from "../../protocol/errors";
import { sealTo } from "../../protocol/jwe";
import { jwsDigest, signJws } from "../../protocol/jws";
import {
  type CancelRequest,
  cancelRequest,
  type Descriptor,
  parameterContext,
  type ReadToken,
  type RunImport,
  type RunRequest,
  readToken,
  runRequest,
  type UploadRequest,
  uploadRequest,
} from "../../protocol/messages";
import { runIdOf } from "../../protocol/opening";
import { parse } from "../../protocol/shape";

/** Append only. RUN_KEY: the key may not open runs of this version. RUN_PARAMETERS: parameters for a step that does not exist, or not an object. */
export type RunRequestCode = "RUN_KEY" | "RUN_PARAMETERS";
export class RunRequestError extends SealflowError<RunRequestCode> {}

/** A request that has not reached the ledger by then is void. */
const REQUEST_SECONDS = 600;
const READ_SECONDS = 900;

export interface RunRequestOptions {
  /** The version to run, as signed and as verified. */
  readonly token: string;
  readonly descriptor: Descriptor;
  readonly runKey: KeyObject;
  /** Step → parameters (a JSON object); they leave encrypted to that step alone. */
  readonly parameters?: Readonly<Record<string, unknown>>;
  /** Pipeline input → the release of another pipeline that this run reads (`pinImport`). */
  readonly imports?: Readonly<Record<string, RunImport>>;
  /** Last head of the ledger that the caller saw (JWS); null if none. */
  readonly head: string | null;
  readonly now: Date;
  /** 32 fresh bytes: makes the run id unique. */
  readonly random: Uint8Array;
}

/** @returns compact JWS and run id. @throws RunRequestError. */
export async function openRunRequest(options: RunRequestOptions): Promise<{ token: string; run: string }> {
  const { descriptor, runKey, parameters = {}, imports = {} } = options;
  const by = rawPublic(runKey);
  if (!descriptor.runKeys.includes(by)) {
    throw new RunRequestError(
      "RUN_KEY",
      `run key ${by} may not open runs of "${descriptor.name}": its descriptor does not list it`,
    );
  }
  const issuedAt = seconds(options.now);
  const content: RunRequest = {
    v: 1,
    pipelineUid: descriptor.pipelineUid,
    descriptor: jwsDigest(options.token),
    runKey: by,
    inputs: Object.fromEntries(Object.entries(descriptor.datasets).map(([name, { digest }]) => [name, digest])),
    parameters: await sealParameters(descriptor, parameters),
    ...(Object.keys(imports).length > 0 ? { imports } : {}),
    nonce: base64url(options.random),
    head: options.head,
    issuedAt,
    expiresAt: issuedAt + REQUEST_SECONDS,
  };
  const token = await signJws("sealflow-run+jwt", parse(runRequest, content, "run request"), runKey);
  return { token, run: runIdOf(token) };
}

/** Step → parameters → JWE to that step. @throws RunRequestError RUN_PARAMETERS. */
export async function sealParameters(
  descriptor: Pick<Descriptor, "pipelineUid" | "steps">,
  parameters: Readonly<Record<string, unknown>>,
): Promise<Record<string, string>> {
  const sealed: Record<string, string> = {};
  const problems: string[] = [];
  for (const [step, value] of Object.entries(parameters)) {
    const known = Object.hasOwn(descriptor.steps, step) ? descriptor.steps[step] : undefined;
    if (!known) problems.push(`no step is called "${step}" (there are ${Object.keys(descriptor.steps).join(", ")})`);
    else if (typeof value !== "object" || value === null || Array.isArray(value)) {
      problems.push(`parameters of "${step}" must be an object`);
    } else {
      sealed[step] = await sealTo(known.parameterKey, parameterContext(descriptor.pipelineUid, step), utf8(jcs(value)));
    }
  }
  if (problems.length > 0) throw new RunRequestError("RUN_PARAMETERS", problems.join("; "));
  return sealed;
}

export interface ReadTokenOptions {
  /** Of the ledger that it is for. */
  readonly ledgerKey: string;
  readonly pipelineUid: string;
  readonly now: Date;
  /** 32 fresh bytes. */
  readonly random: Uint8Array;
}

/** Token for reads, by a run key or the owner's key; valid 15 minutes. */
export async function signReadToken(options: ReadTokenOptions, key: KeyObject): Promise<string> {
  const { ledgerKey, pipelineUid, now, random } = options;
  const issuedAt = seconds(now);
  const content: ReadToken = {
    v: 1,
    ledgerKey,
    pipelineUid,
    by: rawPublic(key),
    issuedAt,
    expiresAt: issuedAt + READ_SECONDS,
    nonce: base64url(random),
  };
  return signJws("sealflow-read+jwt", parse(readToken, content, "read token"), key);
}

export interface ImportUploadOptions {
  /** Of the ledger that it is for. */
  readonly ledgerKey: string;
  readonly pipelineUid: string;
  readonly ownerPublicKey: string;
  /** Of the ciphertext. */
  readonly object: { readonly digest: string; readonly size: number };
  readonly now: Date;
  /** 32 fresh bytes. */
  readonly random: Uint8Array;
}

/** For `POST /v1/objects`: the ciphertext of an imported release goes where the pipeline's guests can read it. */
export async function signImportUpload(options: ImportUploadOptions, runKey: KeyObject): Promise<string> {
  const { ledgerKey, pipelineUid, ownerPublicKey, object, now, random } = options;
  const content: UploadRequest = {
    v: 1,
    ledgerKey,
    ownerPublicKey,
    by: rawPublic(runKey),
    pipelineUid,
    action: "put",
    ...object,
    issuedAt: seconds(now),
    nonce: base64url(random),
  };
  return signJws("sealflow-upload+jwt", parse(uploadRequest, content, "upload request"), runKey);
}

export interface CancelOptions {
  readonly pipelineUid: string;
  readonly run: string;
  readonly reason: string;
  readonly now: Date;
  /** 32 fresh bytes. */
  readonly random: Uint8Array;
}

export async function signCancel(options: CancelOptions, key: KeyObject): Promise<string> {
  const content: CancelRequest = {
    v: 1,
    pipelineUid: options.pipelineUid,
    run: options.run,
    by: rawPublic(key),
    reason: options.reason,
    nonce: base64url(options.random),
    issuedAt: seconds(options.now),
  };
  return signJws("sealflow-cancel+jwt", parse(cancelRequest, content, "cancellation"), key);
}

const seconds = (now: Date): number => Math.floor(now.getTime() / 1000);

/**
 * Opens what a run released to a recipient: JWE in the commit → object key → ciphertext. The commit must have been
 * verified before (owner/verify): it says which object and which key commitment are right.
 */
import { createHash, type KeyObject } from "node:crypto";
import { edgeAssociatedData } from "../../protocol/associated";
import { hex } from "../../protocol/bytes";
import { ProtocolError, SealflowError } from "../../protocol/errors";
import type { Format } from "../../protocol/formats";
import { openFrom } from "../../protocol/jwe";
import { keyCommit } from "../../protocol/keys";
import {
  type Commit,
  type Descriptor,
  LOG_RELEASE,
  logRelease,
  releaseContext,
  type Statement,
} from "../../protocol/messages";
import { edgeName, parseEdgeName } from "../../protocol/names";
import { StreamOpener } from "../../protocol/stream";

/**
 * Append only. NOT_RELEASED: the commit has no such release for this recipient. RELEASE_KEY: the key inside is not the
 * one that the receipt commits to. OBJECT_DIGEST: the ciphertext is not the committed one. LOG_FORM: a log without its
 * length. Never retry with the same bytes. OUT_EXISTS: the folder to write into is there already.
 */
export type ReleaseCode = "NOT_RELEASED" | "RELEASE_KEY" | "OBJECT_DIGEST" | "LOG_FORM" | "OUT_EXISTS";
export class ReleaseError extends SealflowError<ReleaseCode> {}

export interface ReleasedObject {
  /** 32 bytes: opens this one object. */
  readonly key: Uint8Array;
  readonly associatedData: Uint8Array;
  /** SHA-256 and size of the ciphertext. */
  readonly digest: string;
  readonly size: number;
}

export interface Recipient {
  readonly name: string;
  /** X25519. */
  readonly key: KeyObject;
}

/** @param verified commit with its receipt. @throws ReleaseError, ProtocolError KEY. */
export async function releasedObject(
  d: Descriptor,
  verified: { readonly commit: Commit; readonly receipt: Statement },
  release: string,
  to: Recipient,
): Promise<ReleasedObject> {
  const { commit: c } = verified;
  const from = Object.hasOwn(d.releases, release) ? d.releases[release]?.from : undefined;
  const { step, output } = from ? parseEdgeName(from) : { step: "", output: "" };
  const object = step === c.step ? c.outputs[output] : undefined;
  const format = d.steps[c.step]?.outputs[output]?.format;
  if (!object || !format) throw new ReleaseError("NOT_RELEASED", `${c.step}: releases no "${release}"`);
  return open(verified, output, format, object, c.releases[release]?.[to.name], releaseContext(c.run, release), to);
}

/** The attempt's log: for the owner, also of failed attempts. @throws ReleaseError, ProtocolError KEY. */
export async function logObject(
  verified: { readonly commit: Commit; readonly receipt: Statement },
  owner: KeyObject,
): Promise<ReleasedObject> {
  const { commit: c } = verified;
  const context = releaseContext(c.run, logRelease(c.step, c.shard, c.attempt));
  const jwe = c.releases[LOG_RELEASE]?.owner;
  return open(verified, LOG_RELEASE, "text", c.log, jwe, context, { name: "owner", key: owner });
}

async function open(
  { commit: c, receipt }: { readonly commit: Commit; readonly receipt: Statement },
  output: string,
  format: Format,
  object: { digest: string; size: number },
  jwe: string | undefined,
  context: string,
  to: Recipient,
): Promise<ReleasedObject> {
  const edge = edgeName(c.step, output);
  if (jwe === undefined) throw new ReleaseError("NOT_RELEASED", `${edge}/${c.shard}: is not released to "${to.name}"`);
  const key = await keyFrom(jwe, context, to, `${edge}/${c.shard}`);
  if (key.length !== 32 || receipt.predicate.keyCommits[edge] !== keyCommit(key)) {
    throw new ReleaseError(
      "RELEASE_KEY",
      `${edge}/${c.shard}: the released key is not the one that its receipt commits to`,
    );
  }
  const place = { pipelineUid: c.pipelineUid, run: c.run, edge, shard: c.shard, attempt: c.attempt, format };
  return { key, associatedData: edgeAssociatedData(place), digest: object.digest, size: object.size };
}

/** @throws ProtocolError KEY. */
async function keyFrom(jwe: string, context: string, to: Recipient, place: string): Promise<Uint8Array> {
  try {
    return await openFrom(to.key, context, jwe);
  } catch (cause) {
    if (!(cause instanceof ProtocolError)) throw cause;
    const message = `${place}: this key does not open it; it is not the one of "${to.name}" in the run's version`;
    throw new ProtocolError(cause.code, message, { cause });
  }
}

/**
 * Plaintext of an object, piece by piece. It is whole and right only when the generator has ended without an error.
 * @throws StreamError, ReleaseError OBJECT_DIGEST.
 */
export async function* openObject(
  { key, associatedData, digest }: ReleasedObject,
  ciphertext: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const opener = new StreamOpener(key, associatedData);
  const hash = createHash("sha256");
  for await (const chunk of ciphertext) {
    hash.update(chunk);
    yield* opener.push(chunk);
  }
  yield* opener.end();
  if (hex(hash.digest()) !== digest)
    throw new ReleaseError("OBJECT_DIGEST", `object ${digest}: the ciphertext is another`);
}

const LENGTH_BYTES = 4;

/** A log's text without its padding. @throws ReleaseError LOG_FORM, and as openObject. */
export async function openLog(object: ReleasedObject, ciphertext: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of openObject(object, ciphertext)) chunks.push(chunk);
  const all = Buffer.concat(chunks);
  const length = all.length < LENGTH_BYTES ? Number.POSITIVE_INFINITY : all.readUInt32BE(0);
  if (length > all.length - LENGTH_BYTES) {
    throw new ReleaseError("LOG_FORM", `log ${object.digest}: its length does not fit its ${all.length} bytes`);
  }
  return all.toString("utf8", LENGTH_BYTES, LENGTH_BYTES + length);
}

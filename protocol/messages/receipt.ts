/**
 * A receipt: DSSE envelope (github.com/secure-systems-lab/dsse v1.0.2) around an in-toto Statement v1, Ed25519.
 * in-toto and cosign tooling can read it.
 */
import type { KeyObject } from "node:crypto";
import { base64, fromBase64, utf8 } from "../bytes";
import { jcs } from "../canonical";
import { publicKey, sha256hex, signEd25519, verifyEd25519 } from "../crypto";
import { ProtocolError } from "../errors";
import { NAME } from "../names";
import { type Infer, integer, list, literal, object, optional, parse, record, text } from "../shape";
import { EDGE, edge, format, hex32, identity, jws, name, reason } from "./common";

export const PAYLOAD_TYPE = "application/vnd.in-toto+json";
export const PREDICATE_TYPE = "https://sealflow.dev/receipt/v1";
export const STATEMENT_TYPE = "https://in-toto.io/Statement/v1";

export const dsse = object({
  payloadType: literal(PAYLOAD_TYPE),
  payload: text({ max: 2_000_000 }),
  signatures: list(
    object({
      keyid: text({ max: 64 }),
      sig: text({ pattern: /^[A-Za-z0-9+/]{86}==$/, what: "an Ed25519 signature in base64", max: 88 }),
    }),
    1,
  ),
});
export type Dsse = Infer<typeof dsse>;

/** What was read: an edge's object, a dataset, or another pipeline's release. */
export const receiptInput = object({
  input: name,
  from: optional(edge),
  dataset: optional(name),
  /** Name of the pipeline input, when it is another pipeline's release. */
  imported: optional(name),
  shard: integer(0, 999),
  /** SHA-256 of the ciphertext. */
  digest: hex32,
  format,
});

/** "ok", or why not: the runner's exit code classes. */
export const EXIT_CLASSES = ["ok", "integrity", "format", "program", "timeout", "internal", "hidden"] as const;

export const predicate = object({
  v: literal(1),
  pipelineUid: hex32,
  descriptor: hex32,
  run: hex32,
  step: name,
  shard: integer(0, 999),
  attempt: integer(1, 1_000_000),
  programId: hex32,
  identity,
  inputs: list(receiptInput, 5000),
  /** SHA-256 of the parameters' JWE text; of the empty text when there are none. */
  parameters: hex32,
  /** Output → commitment to its object key; `log` too. */
  keyCommits: record(EDGE, hex32, 201),
  /** Output → HMAC of the plaintext under an edge-derived key; for the cache to come and for verification with keys. */
  plaintext: record(EDGE, hex32, 200),
  /** Declassified output → its bit, in the clear by the owner's wish. Absent when there are none. */
  declassified: optional(record(NAME, literal(true, false), 200)),
  exitClass: literal(...EXIT_CLASSES),
  /** The signed head that the claim was answered with. */
  head: jws,
  /** How the program was kept from the runner. */
  isolation: literal("namespaces", "none"),
  trustProgram: optional(reason),
  acceptRollback: optional(reason),
});
export type Predicate = Infer<typeof predicate>;

export const statement = object({
  _type: literal(STATEMENT_TYPE),
  /** One per output: name `step.output/<shard>`, digest of the ciphertext; and `step.log/<shard>`. */
  subject: list(object({ name: text({ max: 100 }), digest: object({ sha256: hex32 }) }), 201),
  predicateType: literal(PREDICATE_TYPE),
  predicate,
});
export type Statement = Infer<typeof statement>;

export const subjectName = (step: string, output: string, shard: number): string => `${step}.${output}/${shard}`;

/** Pre-authentication encoding, DSSE v1. */
const pae = (payload: string): Uint8Array =>
  utf8(`DSSEv1 ${utf8(PAYLOAD_TYPE).length} ${PAYLOAD_TYPE} ${utf8(payload).length} ${payload}`);

export function signReceipt(content: Pick<Statement, "subject" | "predicate">, key: KeyObject, rawKey: string): Dsse {
  const payload = jcs({ _type: STATEMENT_TYPE, predicateType: PREDICATE_TYPE, ...content });
  return {
    payloadType: PAYLOAD_TYPE,
    payload: base64(utf8(payload)),
    signatures: [{ keyid: sha256hex(rawKey), sig: base64(signEd25519(key, pae(payload))) }],
  };
}

/**
 * @param rawKey the step's public key from a verified descriptor.
 * @throws ProtocolError SHAPE or SIGNATURE.
 */
export function verifyReceipt(envelope: unknown, rawKey: string): Statement {
  const e = parse(dsse, envelope, "receipt");
  const [signature] = e.signatures;
  if (!signature) throw new ProtocolError("SIGNATURE", "receipt: no signature");
  let payload: string;
  let sig: Uint8Array;
  try {
    payload = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(fromBase64(e.payload));
    sig = fromBase64(signature.sig);
  } catch {
    throw new ProtocolError("SHAPE", "receipt: payload or signature is not canonical base64");
  }
  if (signature.keyid !== sha256hex(rawKey) || !verifyEd25519(publicKey("Ed25519", rawKey), pae(payload), sig)) {
    throw new ProtocolError("SIGNATURE", "receipt: signature does not verify with the step's key");
  }
  let content: unknown;
  try {
    content = JSON.parse(payload);
  } catch {
    throw new ProtocolError("SHAPE", "receipt: payload is not JSON");
  }
  return parse(statement, content, "receipt");
}

/** Reads without verifying; only to find out which step's key to verify with. */
export function peekReceipt(envelope: unknown): Statement {
  const e = parse(dsse, envelope, "receipt");
  return parse(statement, JSON.parse(new TextDecoder().decode(fromBase64(e.payload))), "receipt");
}

/** By which the log refers to a receipt: SHA-256 of the envelope's canonical JSON. */
export const receiptDigest = (envelope: Dsse): string => sha256hex(jcs(envelope));

/** Where an object goes that is sent in parts, to a store that is not the ledger itself (JWS `sealflow-parts+jwt`, step key). */
import { type Infer, integer, list, literal, object } from "../shape";
import { hex32, name, nonce32, size, url } from "./common";

/** Parts of one object at most: the smallest limit of the stores. */
export const MAX_PARTS = 10_000;

/** Asks for the places of one object of an attempt; repeated when a place is lost or over. */
export const partsRequest = object({
  v: literal(1),
  pipelineUid: hex32,
  run: hex32,
  step: name,
  shard: integer(0, 999),
  attempt: integer(1, 1_000_000),
  programId: hex32,
  /** Output of the step, or `log`. */
  output: name,
  /** Bytes of the whole ciphertext. */
  size,
  nonce: nonce32,
});
export type PartsRequest = Infer<typeof partsRequest>;

/** Places of an object's parts. All parts but the last have the same size; each is one PUT. */
export const objectParts = object({
  /** Bytes of each part but the last. */
  partSize: integer(1, Number.MAX_SAFE_INTEGER),
  /** Number of the first part that the store does not have, from 0. */
  from: integer(0, MAX_PARTS),
  /** Where part `from` and all after it go. Empty: the store has them all. */
  urls: list(url, MAX_PARTS),
});
export type ObjectParts = Infer<typeof objectParts>;

/** JWS `sealflow-parts-answer+jwt`. */
export const partsAnswer = object({
  v: literal(1),
  /** jwsDigest of the request: binds the answer to its nonce. */
  request: hex32,
  parts: objectParts,
});
export type PartsAnswer = Infer<typeof partsAnswer>;

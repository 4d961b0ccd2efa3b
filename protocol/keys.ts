/**
 * The key schedule: HKDF-SHA256(ikm, salt, info), info = `sealflow/v1|…|g<generation>`, fields separated by `|`.
 * Names match [a-z0-9-] and digests are hex, so the separator never occurs inside a field.
 * Pinned in test/vectors/keys.json; a change of any byte is protocol version 2.
 */
import type { KeyObject } from "node:crypto";
import { concat, hex, prefixed, utf8 } from "./bytes";
import { hkdf, hmacSha256, privateKey, rawPublic, sha256, sha256hex } from "./crypto";
import { ProtocolError } from "./errors";

const VERSION = "sealflow/v1";
const NONE = new Uint8Array(0);

/** The root secret of one pipeline: 32 bytes, and the generation that rotation counts up from 1. */
export interface Root {
  readonly secret: Uint8Array;
  readonly generation: number;
}

function derive(root: Root, length: number, ...fields: string[]): Uint8Array {
  if (root.secret.length !== 32)
    throw new ProtocolError("KEY", `root secret: ${root.secret.length} bytes, expected 32`);
  return hkdf(root.secret, NONE, [VERSION, ...fields, `g${root.generation}`].join("|"), length);
}

export const ownerSigningKey = (root: Root): KeyObject => privateKey("Ed25519", derive(root, 32, "owner"));
/**
 * The owner's key of a pipeline through all generations: that of the first. It never leaves the owner's machine, and the
 * pipeline's id follows from it; whoever has it has the root, so rotation could not take it back.
 */
export const ownerKey = (root: Root): KeyObject => ownerSigningKey({ ...root, generation: 1 });
/** May open runs; its public half is listed in the descriptor. */
export const runKey = (root: Root): KeyObject => privateKey("Ed25519", derive(root, 32, "run"));
/** Opens releases addressed to the owner. */
export const ownerReleaseKey = (root: Root): KeyObject => privateKey("X25519", derive(root, 32, "release"));
/** Public name of a root: tells nothing about it. */
export const fingerprint = (root: Root): string =>
  sha256hex(concat(utf8(`${VERSION}|fingerprint|`), derive(root, 32, "fingerprint")));
/** Namespace of a root in the KBS and of its image names: cannot collide between stacks. */
export const namespaceOf = (rootFingerprint: string): string => `sf-${rootFingerprint.slice(0, 16)}`;

/** pipelineUid = SHA-256 over label, owner key, stack uuid and name, each length-prefixed; hex. Self-certifying. */
export function pipelineUid(ownerPublicKey: string, stackUuid: string, name: string): string {
  return hex(
    sha256(concat(utf8(`${VERSION}|pipeline|`), ...[ownerPublicKey, stackUuid, name].map((t) => prefixed(utf8(t))))),
  );
}

export const blind = (root: Root, uid: string, step: string): Uint8Array => derive(root, 32, "blind", uid, step);
export const edgeRoot = (root: Root, uid: string, step: string, output: string): Uint8Array =>
  derive(root, 32, "edge", uid, step, output);
/** Bound to the identity: a guest of an older version signs with a key that the new descriptor does not list. */
export const stepSigningSeed = (root: Root, uid: string, step: string, identity: string): Uint8Array =>
  derive(root, 32, "sign", uid, step, identity);
/** X25519 seed; run requests carry parameters as JWE to its public half, so opening a run needs no root. */
export const parameterSeed = (root: Root, uid: string, step: string): Uint8Array =>
  derive(root, 32, "parameters", uid, step);
export const parameterPublic = (root: Root, uid: string, step: string): string =>
  rawPublic(privateKey("X25519", parameterSeed(root, uid, step)));
/** X25519 seed of the pipeline as a recipient: other pipelines wrap releases to its public half. */
export const importSeed = (root: Root, uid: string): Uint8Array => derive(root, 32, "import", uid);
/** The log of every attempt is encrypted under this, with the run's attempt in the object key derivation. */
export const logRoot = (root: Root, uid: string, step: string): Uint8Array => derive(root, 32, "log", uid, step);

// Images.
/** kekId = HMAC(root-derived key, digest of the plaintext manifest), hex; never reused across roots. */
export const kekId = (root: Root, plaintextManifestDigest: string): string =>
  hex(hmacSha256(derive(root, 32, "kek-id"), utf8(plaintextManifestDigest)));
export const kek = (root: Root, id: string): Uint8Array => derive(root, 32, "kek", id);
/**
 * Key (32) and initial counter block (16) of one layer. The exact bytes that are encrypted follow from the four arguments
 * and the root: they are the source's layer with its salt entry.
 * @param index number of the layer among those that are sealed, from 0. @param source SHA-256 of the source's layer as an uncompressed tar, hex.
 */
export function layerKey(
  root: Root,
  image: string,
  index: number,
  source: string,
  mediaType: string,
): { key: Uint8Array; nonce: Uint8Array } {
  const labels = [image, String(index), source, mediaType];
  return { key: derive(root, 32, "layer-key", ...labels), nonce: derive(root, 16, "layer-nonce", ...labels) };
}
/** Nonce of the A256GCM wrap of a layer's options under a KEK: 12 bytes. */
export const wrapIv = (root: Root, id: string, wrappedOptionsDigest: string): Uint8Array =>
  derive(root, 12, "wrap-iv", id, wrappedOptionsDigest);
/** 32 random-looking bytes that go into each sealed layer, so that its diff_id confirms no guess about its content. */
export const layerSalt = (root: Root, image: string, index: number): Uint8Array =>
  derive(root, 32, "layer-salt", image, String(index));
/** Marks, for the owner alone, what a sealed image on the owner's disk was made from; no part of any image. */
export const sourceMarkKey = (root: Root): Uint8Array => derive(root, 32, "source-mark");

// Datasets.
/** Keyed digest of the content: equal for equal content under one root, and confirms no guess without it. */
export const datasetDigestKey = (root: Root): Uint8Array => derive(root, 32, "dataset-digest");
/** Goes into the bundles of the steps that read the dataset. */
export const datasetRoot = (root: Root, id: string): Uint8Array => derive(root, 32, "dataset", id);
export const datasetKey = (fromDatasetRoot: Uint8Array, id: string, contentDigest: string): Uint8Array =>
  hkdf(fromDatasetRoot, NONE, [VERSION, "dataset", id, contentDigest].join("|"));
/** Salt (32) and nonce prefix (7) of a dataset's stream: deterministic, and safe since the key is bound to the content. */
export function datasetNonce(
  fromDatasetRoot: Uint8Array,
  id: string,
  contentDigest: string,
): { salt: Uint8Array; prefix: Uint8Array } {
  const bytes = hkdf(fromDatasetRoot, NONE, [VERSION, "dataset-nonce", id, contentDigest].join("|"), 39);
  return { salt: bytes.slice(0, 32), prefix: bytes.slice(32) };
}

// Runs.
/**
 * Key of one object of a run. `runSecret` is minted by the ledger and deleted when the run expires; without it no
 * bundle opens the object, and without the bundle no ledger does.
 * @param from edge root or log root; @param run 64 hex.
 */
export function objectKey(
  from: Uint8Array,
  runSecret: Uint8Array,
  run: string,
  producer: string,
  shard: number,
  attempt: number,
): Uint8Array {
  if (from.length !== 32 || runSecret.length !== 32)
    throw new ProtocolError("KEY", "edge root and run secret have 32 bytes each");
  return hkdf(concat(from, runSecret), utf8(run), [VERSION, "object", producer, shard, attempt].join("|"));
}

/** Key of the plaintext HMACs in receipts; every holder of the edge (or log) root has it, nobody else can guess with it. */
export const plaintextKey = (from: Uint8Array): Uint8Array => hkdf(from, NONE, [VERSION, "plaintext"].join("|"));

/** Commitment to an object key (AES-GCM does not commit to its key), hex. */
export const keyCommit = (key: Uint8Array): string => sha256hex(concat(utf8(`${VERSION}|commit|`), key));

/** Name of an object in the store: opaque, unique per run, edge, shard and attempt. */
export const objectName = (run: string, edge: string, shard: number, attempt: number): string =>
  `runs/${run}/${sha256hex(utf8([VERSION, "name", edge, shard, attempt].join("|")))}`;

export const publicOf = (curve: "Ed25519" | "X25519", seed: Uint8Array): string => rawPublic(privateKey(curve, seed));

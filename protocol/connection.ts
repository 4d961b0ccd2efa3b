/** Public connection files: no secret in them. */
import { hex32, jws, key32, name, pem, url } from "./messages/common";
import { type Infer, literal, object } from "./shape";

/** `.sealflow/connection.json`: how to reach the relying party. */
export const connection = object({
  version: literal(1),
  kbsUrl: url,
  ledgerUrl: url,
  /** CA of both, PEM; guests pin it. */
  caPem: pem,
  /** Ed25519 key of the ledger. */
  ledgerKey: key32,
});
export type Connection = Infer<typeof connection>;

/** `.sealflow/pipelines/<stack>/<pipeline>.json`: all that `run`, `status`, `fetch` need beside the caller's key. */
export const pipelineConnection = object({
  version: literal(1),
  kbsUrl: url,
  ledgerUrl: url,
  caPem: pem,
  ledgerKey: key32,
  name,
  stack: name,
  pipelineUid: hex32,
  ownerPublicKey: key32,
  /** The current version, signed by the owner. */
  descriptor: jws,
});
export type PipelineConnection = Infer<typeof pipelineConnection>;

/** What one step's guest gets from the KBS: owner-signed, JWS `sealflow-bundle+jwt`. */
import { NAME } from "../names";
import { type Infer, literal, object, optional, record } from "../shape";
import { EDGE, identity, key32, name, pem, secret32, url } from "./common";
import { program } from "./program";

export const bundle = object({
  v: literal(1),
  /** The runner recomputes programId from `program` and `blind`, and compares with the path it asked for. */
  program,
  blind: secret32,
  ns: name,
  identity,
  /** Ed25519 seed with which claims, commits and receipts are signed. */
  signingSeed: secret32,
  /** X25519 seed that opens this step's parameters in a run request. */
  parameterSeed: secret32,
  logRoot: secret32,
  /** `step.output` → edge root, for own outputs and for inputs from other steps. */
  edgeRoots: record(EDGE, secret32, 400),
  /** Pipeline input → dataset id and root, for inputs of this step only. */
  datasetRoots: record(NAME, object({ id: name, root: secret32 }), 200),
  /** X25519 seed that opens other pipelines' releases; absent unless the step reads one. */
  importSeed: optional(secret32),
  ledger: object({ url, caPem: pem, publicKey: key32 }),
  ownerPublicKey: key32,
});

export type Bundle = Infer<typeof bundle>;

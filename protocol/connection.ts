/** Public connection files: no secret in them. */
import { hex32, key32, name, pem, tabled, url } from "./messages/common";
import { NAME } from "./names";
import { type Infer, literal, object, optional, record, text } from "./shape";

const relyingParty = {
  /** As guests reach it: part of every step's identity. */
  kbsUrl: url,
  ledgerUrl: url,
  /** CA of both, PEM; guests pin it. */
  caPem: pem,
  /** Ed25519 key of the ledger. */
  ledgerKey: key32,
};

/** A relying party as programs name it. */
export const relyingPartyReference = object(relyingParty);
export type RelyingPartyReference = Infer<typeof relyingPartyReference>;

/** `.sealflow/connection.json`: how to reach the relying party of this machine. */
export const connection = object({ version: literal(1), ...relyingParty });
export type Connection = Infer<typeof connection>;

/** A DNS label, as namespaces and most objects of Kubernetes are named. */
const kubernetesName = text({ pattern: /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, what: "a Kubernetes name", max: 63 });

/** The engine that starts a run's Jobs. Trusted for liveness only, so nothing of it is signed. */
export const backendReference = object({
  kind: literal("argo"),
  namespace: kubernetesName,
  /** WorkflowTemplate that a run is made from. */
  template: kubernetesName,
});
export type BackendReference = Infer<typeof backendReference>;

/** `.sealflow/pipelines/<stack>/<pipeline>.json`: all that `run`, `status`, `fetch` need beside the caller's key. */
export const pipelineConnection = object({
  version: literal(1),
  ...relyingParty,
  name,
  stack: name,
  pipelineUid: hex32,
  ownerPublicKey: key32,
  /** The current version, signed by the owner. */
  descriptor: tabled,
  /** Missing: runs are carried out on the caller's machine. */
  backend: optional(backendReference),
  /** Its schedules, signed by the owner: `POST /v1/runs` with one, or one of its slots, opens a run. */
  schedules: optional(record(NAME, tabled, 100)),
});
export type PipelineConnection = Infer<typeof pipelineConnection>;

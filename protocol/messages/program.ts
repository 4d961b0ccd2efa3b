/**
 * programId: what a step is allowed to be. HMAC-SHA256 under the step's blind over canonical JSON, so it is stable,
 * unique per pipeline and step, and tells nothing about commands or arguments.
 */
import { hex, utf8 } from "../bytes";
import { jcs } from "../canonical";
import { hmacSha256 } from "../crypto";
import { NAME } from "../names";
import { type Infer, integer, list, literal, object, optional, record } from "../shape";
import { condition, envMap, hex32, inputs, key32, name, outputs, reason, stringList } from "./common";

export const limits = object({
  /** Wall-clock limit of the program, seconds. */
  timeoutSeconds: integer(1, 31_536_000),
  /** How long the runner waits for inputs before exit 10, seconds. */
  waitSeconds: integer(1, 86_400),
  /** Further attempts after the first, per run and shard. */
  retryLimit: integer(0, 100),
  shards: integer(1, 1000),
});

/** Beside its waiting and its program: boot, pull, sealing and transfer, seconds. */
const BOOT_SECONDS = 900;

/** How long a guest may live, seconds: its Job's deadline, and the ledger's patience with an attempt that is silent. */
export const guestSeconds = (l: Pick<Infer<typeof limits>, "timeoutSeconds" | "waitSeconds">): number =>
  l.timeoutSeconds + l.waitSeconds + BOOT_SECONDS;

export const release = object({
  /** Output of this step. */
  output: name,
  /** Name of the release. */
  as: name,
  /** Recipient name → raw X25519 key; always has `owner`. */
  recipients: record(NAME, key32, 100),
});

export const program = object({
  v: literal(1),
  pipelineUid: hex32,
  step: name,
  /** Program and arguments; also what the user wrote as `args`. Never seen outside owner and guest. */
  command: stringList,
  env: envMap,
  inputs,
  outputs,
  releases: list(release, 100),
  limits,
  /** Absent: the step always runs. */
  when: optional(condition),
  /** Digest of the sealed image's manifest. */
  image: hex32,
  /** SHA-256 of everything else that the identity covers: agent policy rules, aa.toml, cdh.toml. */
  guest: hex32,
  /** Whether the program may use the guest's network. */
  egress: literal(true, false),
  exitClass: literal("visible", "hidden"),
  /** Reason for running the program without isolation from the runner; absent: isolation is required. */
  trustProgram: optional(reason),
  acceptRollback: optional(reason),
});

export type Program = Infer<typeof program>;

/** @param blind 32 bytes, from the key schedule (owner) or the bundle (runner). */
export const programId = (blind: Uint8Array, p: Program): string => hex(hmacSha256(blind, utf8(jcs(p))));

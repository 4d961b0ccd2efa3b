import { FORMATS } from "../formats";
import { HEX32, NAME } from "../names";
import { integer, list, literal, object, optional, record, text } from "../shape";

export const hex32 = text({ pattern: HEX32, what: "64 lower-case hex digits", max: 64 });
/** Initdata digest as the platform reports it, hex: SNP and vTPM 32 bytes, TDX 48. */
export const identity = text({
  pattern: /^(?:[0-9a-f]{64}|[0-9a-f]{96})$/,
  what: "an initdata digest (64 or 96 hex digits)",
  max: 96,
});
export const name = text({ pattern: NAME, what: "a name ([a-z0-9-], 1 to 40)", max: 40 });
/** Raw 32-byte public key, Ed25519 or X25519 by its place. */
export const key32 = text({ pattern: /^[A-Za-z0-9_-]{43}$/, what: "a 32-byte key in base64url", max: 43 });
export const nonce32 = key32;
export const secret32 = key32;
export const jws = text({
  pattern: /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/,
  what: "a compact JWS",
  max: 4_000_000,
});
/** With rows of its table behind it, all or some (protocol/table.ts). */
export const tabled = text({
  pattern: /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+(?:~[A-Za-z0-9_-]+)?$/,
  what: "a compact JWS, and rows",
  max: 4_000_000,
});
export const jwe = text({ pattern: /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]*){4}$/, what: "a compact JWE", max: 2_000_000 });
export const format = literal(...FORMATS);
/** Seconds since 1970. */
export const time = integer(0, 8_640_000_000);
export const count = (max: number) => integer(0, max);
export const size = integer(0, Number.MAX_SAFE_INTEGER);
export const reason = text({ max: 400 });
export const url = text({ pattern: /^https?:\/\/[^\s]+$/, what: "an http(s) URL", max: 4000 });
export const pem = text({ max: 20_000 });

/** Where a step's input comes from. */
export const EDGE = /^[a-z0-9-]{1,40}\.[a-z0-9-]{1,40}$/;
export const edge = text({ pattern: EDGE, what: "step.output", max: 81 });

/** The text that opens a run: a run request, or `<schedule>|<slot>` (protocol/opening.ts). */
export const opening = text({
  pattern: /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+(?:~[A-Za-z0-9_-]+)?(?:\|[0-9]{1,10})?$/,
  what: "a run request, or a schedule and a slot",
  max: 4_000_000,
});

/** Another pipeline's release, with all that its proof is held against. */
export const importSource = object({
  /** Name of the pipeline input. */
  input: name,
  pipelineUid: hex32,
  ownerPublicKey: key32,
  ledgerKey: key32,
  release: name,
});

/** When a step runs: only if the declassified output has this value. */
export const condition = object({ from: edge, equals: literal(true, false) });

/**
 * A step's input in the descriptor and in the bundle: another step's output, a dataset of the pipeline, or another
 * pipeline's release.
 */
export const inputSource = object({
  /** `step.output` of the producer; absent for datasets. */
  from: optional(edge),
  /** Name of the pipeline input; absent for edges. */
  dataset: optional(name),
  /** What the run request pins an object for; absent unless the input is another pipeline's release. */
  imported: optional(importSource),
  format,
  /** true: the files of all shards of the producer, as `<name>/<shard>`. */
  collect: optional(literal(true)),
  allowUnsafeFormat: optional(reason),
});
export const outputSpec = object({
  format,
  allowUnsafeFormat: optional(reason),
  /** Why everybody may learn this output, which is one JSON boolean: it stands in the receipt. */
  declassify: optional(reason),
});
export const inputs = record(NAME, inputSource, 200);
export const outputs = record(NAME, outputSpec, 200);

/** A committed object: content address and size in bytes of the ciphertext. */
export const objectRef = object({ digest: hex32, size });
export const stringList = list(text({ max: 100_000 }), 1000);
export const envMap = record(/^[A-Za-z_][A-Za-z0-9_]*$/, text({ max: 100_000 }), 500);

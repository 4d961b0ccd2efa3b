/**
 * Initdata 0.1.0: the TOML document that a guest is measured with. Its bytes are the identity, so they are made by hand
 * in one fixed form. Source: confidential-containers/trustee kbs/docs/initdata.md, kata-types/src/initdata.rs.
 */
import { createHash } from "node:crypto";
import { gunzipSync } from "node:zlib";
import { gzip } from "pako";
import { parse as parseToml } from "smol-toml";
import { initdataAlgorithm } from "../../model/platforms/initdata";
import { base64, fromBase64, hex, utf8 } from "../../protocol/bytes";
import type { Tee } from "../../protocol/rcar";
import { PolicyError } from "../errors";

export type InitdataAlgorithm = "sha256" | "sha384" | "sha512";

export interface Initdata {
  readonly algorithm: InitdataAlgorithm;
  readonly data: Readonly<Record<string, string>>;
}

/** Largest TOML text that is read, bytes. */
const MAX_TEXT = 1_048_576;
/** Kubernetes allows 256 KiB for all annotations of an object. */
const MAX_ANNOTATION = 262_144;

export const INITDATA_ANNOTATION = "io.katacontainers.config.hypervisor.cc_init_data";

/** Hash that fills the TEE's launch field exactly; vTPMs extend a sha256 PCR. */
export const algorithmOf: (tee: Tee) => InitdataAlgorithm = initdataAlgorithm;

/** @throws PolicyError INITDATA for a value that the fixed form cannot carry. */
export function renderInitdata({ algorithm, data }: Initdata): string {
  const entries = Object.entries(data).map(([name, text]) => {
    if (!/^[a-z][a-z0-9.-]*$/.test(name)) throw new PolicyError("INITDATA", `initdata: bad entry name "${name}"`);
    // A literal TOML string: no escapes, so no three quotes and no control characters but line feed and tab.
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what TOML forbids.
    if (text.includes("'''") || /[\x00-\x08\x0b-\x1f\x7f]/.test(text) || !text.endsWith("\n")) {
      throw new PolicyError(
        "INITDATA",
        `initdata: ${name} has three single quotes, a control character or no final newline`,
      );
    }
    return `"${name}" = '''\n${text}'''\n`;
  });
  return `version = "0.1.0"\nalgorithm = "${algorithm}"\n\n[data]\n${entries.join("\n")}`;
}

/**
 * Reads an initdata TOML text as the guest and Trustee do; unknown top-level keys are refused.
 * @throws PolicyError INITDATA or TOO_LARGE.
 */
export function parseInitdata(text: string): Initdata {
  if (utf8(text).length > MAX_TEXT) throw new PolicyError("TOO_LARGE", `initdata: more than ${MAX_TEXT} bytes`);
  let document: Record<string, unknown>;
  try {
    document = parseToml(text) as Record<string, unknown>;
  } catch (cause) {
    throw new PolicyError("INITDATA", "initdata: not TOML", { cause });
  }
  const { version, algorithm, data, ...rest } = document;
  const problems: string[] = [];
  if (version !== "0.1.0") problems.push(`version is ${JSON.stringify(version)}, expected "0.1.0"`);
  if (!["sha256", "sha384", "sha512"].includes(algorithm as string)) {
    problems.push(`algorithm is ${JSON.stringify(algorithm)}, expected sha256, sha384 or sha512`);
  }
  if (typeof data !== "object" || data === null || Array.isArray(data)) problems.push("there is no [data] table");
  else
    for (const [name, value] of Object.entries(data))
      if (typeof value !== "string") problems.push(`${name} is not a text`);
  for (const name of Object.keys(rest)) problems.push(`unknown key "${name.slice(0, 60)}"`);
  if (problems.length > 0) throw new PolicyError("INITDATA", `initdata: ${problems.join("; ")}`);
  return { algorithm: algorithm as InitdataAlgorithm, data: { ...(data as Record<string, string>) } };
}

/** Digest of the exact text by its own algorithm. */
export const initdataDigest = (text: string, algorithm: InitdataAlgorithm): Uint8Array =>
  new Uint8Array(createHash(algorithm).update(utf8(text)).digest());

/** Cut at the end or padded with zeros to the width of a launch field. */
export function fitTo(digest: Uint8Array, width: number): Uint8Array {
  const field = new Uint8Array(width);
  field.set(digest.subarray(0, width));
  return field;
}

/** Bytes of the launch field as the platform reports them: SNP 32, TDX 48, vTPM PCR 8 (32), sample the digest. */
export function reportedInitdata(tee: Tee, text: string, algorithm: InitdataAlgorithm): Uint8Array {
  const digest = initdataDigest(text, algorithm);
  switch (tee) {
    case "sample":
      return digest;
    case "snp":
      return fitTo(digest, 32);
    case "tdx":
      return fitTo(digest, 48);
    case "az-snp-vtpm":
    case "az-tdx-vtpm":
      if (digest.length !== 32) throw new PolicyError("INITDATA", `initdata: ${tee} needs sha256, found ${algorithm}`);
      return new Uint8Array(createHash("sha256").update(new Uint8Array(32)).update(digest).digest());
  }
}

/** Lower-case hex of the reported field. */
export const identityOf = (tee: Tee, text: string, algorithm: InitdataAlgorithm): string =>
  hex(reportedInitdata(tee, text, algorithm));

/** Value of the pod annotation: gzip (no time, no name), base64. Pure JavaScript, so equal on every machine. */
export const annotationOf = (text: string): string => base64(gzip(utf8(text), { level: 9 }));

/**
 * The TOML text inside a pod annotation.
 * @throws PolicyError INITDATA or TOO_LARGE.
 */
export function parseInitdataAnnotation(annotation: string): string {
  if (annotation.length > MAX_ANNOTATION) {
    throw new PolicyError(
      "TOO_LARGE",
      `initdata annotation: ${annotation.length} characters, at most ${MAX_ANNOTATION}`,
    );
  }
  try {
    const bytes = gunzipSync(fromBase64(annotation), { maxOutputLength: MAX_TEXT });
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new PolicyError("INITDATA", "initdata annotation: not base64 of gzip of at most 1 MiB of text", { cause });
  }
}

/**
 * Measurement sets that the makers of pod-VM images publish. Cloud API Adaptor attaches one to each Azure image as an OCI
 * artefact (`measurements.json`: PCRs as `0x` and hex, by hash algorithm). Verify its provenance before you trust it: this
 * module checks form, not origin.
 */
import { parse, record, text } from "../../protocol/shape";
import { PolicyError } from "../errors";

const digests = record(/^pcr[0-9]{2}$/, text({ max: 66, pattern: /^0x[0-9a-f]{64}$/, what: "0x and 64 hex digits" }));
/** Other algorithms and members are not ours to judge. */
const SET = "measurements.json";

/**
 * PCR 11 of one published set: kernel, initrd and command line of the pod-VM's unified kernel image.
 * @param json content of `measurements.json`. @returns 32 bytes, lower-case hex. @throws PolicyError REFERENCE_VALUES.
 */
export function publishedPcr11(json: string): string {
  let document: unknown;
  try {
    document = JSON.parse(json);
  } catch (cause) {
    throw new PolicyError("REFERENCE_VALUES", "published measurements: not JSON", { cause });
  }
  const { sha256: found } = ((document as { measurements?: object } | null)?.measurements ?? {}) as {
    sha256?: unknown;
  };
  let sha256: Record<string, string>;
  try {
    sha256 = parse(digests, found, `${SET}: measurements.sha256`);
  } catch (cause) {
    throw new PolicyError("REFERENCE_VALUES", `published measurements: ${(cause as Error).message}`, { cause });
  }
  const value = sha256.pcr11;
  if (value === undefined) {
    throw new PolicyError(
      "REFERENCE_VALUES",
      `published measurements: no sha256.pcr11 (has ${Object.keys(sha256).sort().join(", ") || "none"})`,
    );
  }
  return value.slice(2);
}

/**
 * What the production attestation policy compares a guest with, typed per TEE: `readonly X[]` is a list (any of these),
 * a single object is one value for all. Trustee keeps any JSON and a value of the wrong form matches nothing, in silence;
 * so nothing is registered here that the policy text would not read.
 */
import type { Hex, MinimumTcb, ReferenceValueSet } from "../../model/reference-values";
import { base64, fromHex } from "../../protocol/bytes";
import { jcs } from "../../protocol/canonical";
import type { Tee } from "../../protocol/rcar";
import { PolicyError } from "../errors";

export type { DefaultPolicy } from "../../model/platforms/guest-image";
export type {
  AzureSnpValues,
  AzureTdxValues,
  MinimumTcb,
  ReferenceValueSet,
  SnpValues,
  TdxValues,
} from "../../model/reference-values";

/** One value of the Reference Value Provider Service: a list, or a single object. */
export interface ReferenceValue {
  readonly id: string;
  readonly value: readonly string[] | MinimumTcb;
}

/**
 * What is registered, sorted by id; the same values in another order give the same bytes.
 * @throws PolicyError REFERENCE_VALUES with every problem: an empty list, a wrong width, zeros (a field never filled in).
 */
export function referenceValues(values: ReferenceValueSet): ReferenceValue[] {
  const problems: string[] = [];
  const list = (name: string, found: readonly Hex[], bytes: number): string[] => {
    const sorted = [...new Set(found)].sort();
    if (sorted.length === 0) problems.push(`${name} is empty, so no guest would be admitted`);
    for (const value of sorted) {
      if (!/^[0-9a-f]*$/.test(value) || value.length !== 2 * bytes) {
        problems.push(`${name}: ${JSON.stringify(value.slice(0, 20))}… is not ${bytes} bytes of lower-case hex`);
      } else if (/^0*$/.test(value)) problems.push(`${name}: all zeros is no measurement`);
    }
    return sorted;
  };
  const made = entries(values, list, problems);
  if (!values.source) problems.push("source is empty; say where the values come from");
  if (problems.length > 0) {
    throw new PolicyError("REFERENCE_VALUES", `reference values of ${values.tee}: ${problems.join("; ")}`);
  }
  return Object.entries(made)
    .map(([name, value]) => ({ id: `sealflow.${values.tee}.${name}`, value }))
    .sort((a, b) => (a.id < b.id ? -1 : 1));
}

type List = (name: string, found: readonly Hex[], bytes: number) => string[];

function entries(values: ReferenceValueSet, list: List, problems: string[]): Record<string, ReferenceValue["value"]> {
  switch (values.tee) {
    case "snp":
      return {
        measurement: list("measurements", values.measurements, 48),
        minimum_tcb: minimum(values.minimumTcb, problems),
      };
    case "az-snp-vtpm":
      return {
        // Trustee shows this one measurement in base64, and everything else in hex.
        measurement: list("measurements", values.measurements, 48).map(asBase64),
        pcr11: list("pcr11", values.pcr11, 32),
        minimum_tcb: minimum(values.minimumTcb, problems),
      };
    case "tdx":
      return {
        mr_td: list("mrTd", values.mrTd, 48),
        rtmr_1: list("rtmr1", values.rtmr1, 48),
        rtmr_2: list("rtmr2", values.rtmr2, 48),
        xfam: list("xfam", values.xfam, 8),
      };
    case "az-tdx-vtpm":
      return {
        mr_td: list("mrTd", values.mrTd, 48),
        pcr11: list("pcr11", values.pcr11, 32),
        xfam: list("xfam", values.xfam, 8),
      };
  }
}

const asBase64 = (text: Hex): string => (/^([0-9a-f]{2})*$/.test(text) ? base64(fromHex(text)) : text);

function minimum({ bootloader, tee, snp, microcode }: MinimumTcb, problems: string[]): MinimumTcb {
  for (const [part, version] of Object.entries({ bootloader, tee, snp, microcode })) {
    if (!Number.isInteger(version) || version < 0 || version > 255) {
      problems.push(`minimumTcb.${part} is ${version}, expected 0 to 255`);
    }
  }
  if (bootloader + tee + snp + microcode === 0)
    problems.push("minimumTcb is zero throughout, which lets every firmware in");
  return { bootloader, microcode, snp, tee };
}

/** What a preview shows: one line per value that comes, goes or changes, by id; never a wall of digests. */
export function referenceValueDiff(before: readonly ReferenceValue[], after: readonly ReferenceValue[]): string[] {
  const [old, now] = [byId(before), byId(after)];
  const ids = [...new Set([...old.keys(), ...now.keys()])].sort();
  return ids.flatMap((id) => difference(id, old.get(id), now.get(id)));
}

const byId = (values: readonly ReferenceValue[]) => new Map(values.map(({ id, value }) => [id, value]));

function difference(
  id: string,
  a: ReferenceValue["value"] | undefined,
  b: ReferenceValue["value"] | undefined,
): string[] {
  if (jcs(a ?? null) === jcs(b ?? null)) return [];
  if (Array.isArray(a ?? b ?? [])) {
    const [old, now] = [(a ?? []) as readonly string[], (b ?? []) as readonly string[]];
    return [
      ...old.filter((v) => !now.includes(v)).map((v) => `- ${id}: ${shortened(v)}`),
      ...now.filter((v) => !old.includes(v)).map((v) => `+ ${id}: ${shortened(v)}`),
    ];
  }
  return [...(a ? [`- ${id}: ${jcs(a)}`] : []), ...(b ? [`+ ${id}: ${jcs(b)}`] : [])];
}

const shortened = (value: string): string => (value.length <= 20 ? value : `${value.slice(0, 16)}…`);

/** Trustee cannot delete a reference value; an empty list is one that nothing matches. */
export const NO_VALUES: readonly never[] = [];

/** TEEs whose evidence the production policy accepts. */
export const PRODUCTION_TEES: readonly Exclude<Tee, "sample">[] = ["snp", "tdx", "az-snp-vtpm", "az-tdx-vtpm"];

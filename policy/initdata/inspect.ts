/** Reading an initdata document for people: what it says, what it measures as, and what differs between two. */
import { createHash } from "node:crypto";
import { jcs } from "../../protocol/canonical";
import { TEES, type Tee } from "../../protocol/rcar";
import { PolicyError } from "../errors";
import { policyData } from "./claims";
import {
  annotationOf,
  INITDATA_ANNOTATION,
  type InitdataAlgorithm,
  identityOf,
  initdataDigest,
  parseInitdata,
  parseInitdataAnnotation,
} from "./document";

/**
 * The TOML text in what somebody has at hand: the document itself, its annotation (base64), or the JSON of a Kubernetes
 * Job, Pod or template with that annotation.
 * @throws PolicyError INITDATA or TOO_LARGE.
 */
export function initdataIn(content: string): string {
  const text = content.trim();
  if (text.startsWith("{")) return parseInitdataAnnotation(annotationIn(text));
  if (/^[A-Za-z0-9+/]+={0,2}$/.test(text)) return parseInitdataAnnotation(text);
  parseInitdata(content);
  return content;
}

function annotationIn(json: string): string {
  let manifest: unknown;
  try {
    manifest = JSON.parse(json);
  } catch (cause) {
    throw new PolicyError("INITDATA", "initdata: begins like JSON and is none", { cause });
  }
  const found: string[] = [];
  const search = (node: unknown, depth: number): void => {
    if (typeof node !== "object" || node === null || depth > 12) return;
    for (const [key, value] of Object.entries(node)) {
      if (key === INITDATA_ANNOTATION && typeof value === "string") found.push(value);
      else search(value, depth + 1);
    }
  };
  search(manifest, 0);
  const different = new Set(found);
  if (different.size !== 1) {
    throw new PolicyError(
      "INITDATA",
      `initdata: the manifest has ${different.size} different annotations ${INITDATA_ANNOTATION}, expected one`,
    );
  }
  return found[0] as string;
}

export interface InitdataView {
  readonly algorithm: InitdataAlgorithm;
  /** Of the TOML text by its own algorithm, hex. */
  readonly digest: string;
  /** Launch field per TEE, hex; null where the TEE cannot carry this algorithm. */
  readonly identities: Readonly<Record<Tee, string | null>>;
  /** Bytes of the TOML text, and characters of the annotation. */
  readonly size: { readonly text: number; readonly annotation: number };
  readonly entries: readonly { readonly name: string; readonly bytes: number; readonly sha256: string }[];
  /** The data that ends the agent policy: image, argv, environment …; null when there is none that Trustee reads. */
  readonly policy: unknown;
}

/** @param text TOML. @throws PolicyError INITDATA or TOO_LARGE. */
export function viewInitdata(text: string): InitdataView {
  const { algorithm, data } = parseInitdata(text);
  return {
    algorithm,
    digest: Buffer.from(initdataDigest(text, algorithm)).toString("hex"),
    identities: Object.fromEntries(TEES.map((tee) => [tee, identityOn(tee, text, algorithm)])) as Record<
      Tee,
      string | null
    >,
    size: { text: Buffer.byteLength(text), annotation: annotationOf(text).length },
    entries: Object.entries(data).map(([name, entry]) => ({
      name,
      bytes: Buffer.byteLength(entry),
      sha256: createHash("sha256").update(entry).digest("hex"),
    })),
    policy: policyData(data["policy.rego"] ?? "") ?? null,
  };
}

function identityOn(tee: Tee, text: string, algorithm: InitdataAlgorithm): string | null {
  try {
    return identityOf(tee, text, algorithm);
  } catch {
    return null;
  }
}

/**
 * Differences, one line each: `- ` before, `+ ` after. The data of two agent policies is compared field by field, other
 * texts line by line. Empty exactly when both measure the same.
 */
export function initdataDiff(before: string, after: string): string[] {
  if (before === after) return [];
  const [a, b] = [parseInitdata(before), parseInitdata(after)];
  const lines = a.algorithm === b.algorithm ? [] : [`- algorithm: ${a.algorithm}`, `+ algorithm: ${b.algorithm}`];
  for (const name of [...new Set([...Object.keys(a.data), ...Object.keys(b.data)])]) {
    const [old, now] = [a.data[name], b.data[name]];
    if (old === now) continue;
    if (old === undefined) lines.push(`+ ${name}: ${Buffer.byteLength(now ?? "")} B`);
    else if (now === undefined) lines.push(`- ${name}: ${Buffer.byteLength(old)} B`);
    else lines.push(...(name === "policy.rego" ? policyDiff(old, now) : lineDiff(name, old, now)));
  }
  // The same content in another layout is another measurement all the same.
  return lines.length > 0 ? lines : ["  layout only: same entries, other bytes, so another identity"];
}

const START = "policy_data := {";

function policyDiff(old: string, now: string): string[] {
  const rules = (text: string) => (text.includes(START) ? text.slice(0, text.indexOf(START)) : text);
  const lines = lineDiff("policy.rego", rules(old), rules(now));
  const [a, b] = [fields(policyData(old)), fields(policyData(now))];
  for (const key of [...new Set([...Object.keys(a), ...Object.keys(b)])].sort()) {
    if (a[key] === b[key]) continue;
    if (a[key] !== undefined) lines.push(`- policy_data.${key}: ${a[key]}`);
    if (b[key] !== undefined) lines.push(`+ policy_data.${key}: ${b[key]}`);
  }
  return lines;
}

const fields = (data: unknown): Record<string, string> =>
  typeof data === "object" && data !== null
    ? Object.fromEntries(Object.entries(data).map(([key, value]) => [key, jcs(value)]))
    : {};

/** Lines that only one side has, in order; a line that moved is not told. */
function lineDiff(name: string, old: string, now: string): string[] {
  const [a, b] = [old.split("\n"), now.split("\n")];
  const [inA, inB] = [new Set(a), new Set(b)];
  return [
    ...a.filter((line) => !inB.has(line)).map((line) => `- ${name}: ${line}`),
    ...b.filter((line) => !inA.has(line)).map((line) => `+ ${name}: ${line}`),
  ];
}

/** What a commit's receipt must repeat. The ledger believes no field of a commit that the receipt does not. */
import { jcs } from "../../../protocol/canonical";
import { sha256hex } from "../../../protocol/crypto";
import { ProtocolError } from "../../../protocol/errors";
import {
  type Commit,
  type Descriptor,
  type DescriptorStep,
  type Statement,
  subjectName,
  verifyReceipt,
} from "../../../protocol/messages";
import type { RunContent } from "../../../protocol/opening";
import { LOG, releasesOf, shardsOfInput } from "./graph";

/** Digest of a producer's committed output. */
export type CommittedDigest = (producer: string, output: string, shard: number) => string | undefined;

export interface ReceiptFacts {
  readonly commit: Commit;
  readonly version: string;
  readonly d: Descriptor;
  readonly step: DescriptorStep;
  /** What opened the run. */
  readonly content: RunContent;
  readonly committed: CommittedDigest;
}

/** @returns the verified receipt, and what is wrong with the commit beside it (empty when nothing). */
export function checkReceipt(facts: ReceiptFacts): { receipt?: Statement; problems: string[] } {
  let receipt: Statement;
  try {
    receipt = verifyReceipt(facts.commit.receipt, facts.step.publicKey);
  } catch (error) {
    if (error instanceof ProtocolError) return { problems: [error.message] };
    throw error;
  }
  return {
    receipt,
    problems: [
      ...placeProblems(facts, receipt),
      ...outcomeProblems(facts, receipt),
      ...subjectProblems(facts.commit, receipt),
      ...inputProblems(facts, receipt),
      ...releaseProblems(facts),
    ],
  };
}

function placeProblems({ commit: c, version, step, content }: ReceiptFacts, { predicate: p }: Statement): string[] {
  const expected: [string, unknown, unknown][] = [
    ["pipelineUid", c.pipelineUid, p.pipelineUid],
    ["descriptor", version, p.descriptor],
    ["run", c.run, p.run],
    ["step", c.step, p.step],
    ["shard", c.shard, p.shard],
    ["attempt", c.attempt, p.attempt],
    ["programId", step.programId, p.programId],
    ["identity", step.identity, p.identity],
    ["parameters", sha256hex(content.parameters[c.step] ?? ""), p.parameters],
    ["trustProgram", step.trustProgram, p.trustProgram],
    ["acceptRollback", step.acceptRollback, p.acceptRollback],
  ];
  return expected.flatMap(([field, wanted, found]) =>
    wanted === found ? [] : [`receipt.${field}: expected ${wanted ?? "none"}, found ${found ?? "none"}`],
  );
}

function outcomeProblems({ commit: c, step }: ReceiptFacts, { predicate: p }: Statement): string[] {
  const problems: string[] = [];
  if (p.isolation === "none" && step.trustProgram === undefined) {
    problems.push("receipt.isolation: none, but the version does not trust this program");
  }
  if (c.outcome === "ok") {
    if (p.exitClass !== "ok") problems.push(`receipt.exitClass: "${p.exitClass}" with outcome "ok"`);
    problems.push(...setProblems("outputs", Object.keys(step.outputs), Object.keys(c.outputs)));
    for (const output of Object.keys(step.outputs)) {
      if (!Object.hasOwn(p.keyCommits, `${c.step}.${output}`))
        problems.push(`receipt.keyCommits: ${output} is missing`);
    }
  } else {
    const hidden = step.exitClass === "hidden";
    if (p.exitClass === "ok" || hidden !== (p.exitClass === "hidden")) {
      problems.push(`receipt.exitClass: "${p.exitClass}" with outcome "failed" and exit class ${step.exitClass}`);
    }
    problems.push(...setProblems("outputs", [], Object.keys(c.outputs)));
  }
  return [...problems, ...bitProblems(c, step, p)];
}

/** Exactly the declassified outputs of a successful attempt, in receipt and commit alike. */
function bitProblems(c: Commit, { outputs }: DescriptorStep, p: Statement["predicate"]): string[] {
  const declared = Object.keys(outputs).filter((output) => outputs[output]?.declassify !== undefined);
  const wanted = c.outcome === "ok" ? declared : [];
  const found = p.declassified ?? {};
  const problems = setProblems("receipt.declassified", wanted, Object.keys(found));
  if (jcs(found) !== jcs(c.declassified ?? {})) problems.push("declassified: not what the receipt says");
  return problems;
}

function subjectProblems(c: Commit, { subject }: Statement): string[] {
  const wanted = [...Object.entries(c.outputs), [LOG, c.log] as const].map(
    ([output, { digest }]) => `${subjectName(c.step, output, c.shard)} ${digest}`,
  );
  return setProblems(
    "receipt.subject",
    wanted,
    subject.map((s) => `${s.name} ${s.digest.sha256}`),
  );
}

/** A successful attempt has read every input; a failed one perhaps not all, but none that is not its own. */
function inputProblems(
  { commit: c, d, step, content, committed }: ReceiptFacts,
  { predicate: p }: Statement,
): string[] {
  const wanted: string[] = [];
  for (const [name, input] of Object.entries(step.inputs)) {
    const source = shardsOfInput(d, input, c.shard);
    if (source) {
      for (const shard of source.shards) {
        const digest = committed(source.producer, source.output, shard);
        wanted.push([name, input.from, shard, input.format, digest].join(" "));
      }
    } else if (input.dataset !== undefined) {
      wanted.push([name, input.dataset, 0, input.format, d.datasets[input.dataset]?.digest].join(" "));
    } else if (input.imported !== undefined) {
      const { input: imported } = input.imported;
      wanted.push([name, imported, 0, input.format, content.imports[imported]?.object.digest].join(" "));
    }
  }
  const found = p.inputs.map((i) =>
    [i.input, i.from ?? i.dataset ?? i.imported, i.shard, i.format, i.digest].join(" "),
  );
  if (c.outcome === "ok") return setProblems("receipt.inputs", wanted, found);
  const known = new Set(wanted);
  return found.filter((f) => !known.has(f)).map((f) => `receipt.inputs: "${f}" is not an input of this attempt`);
}

/** Releases of this step, each for exactly its recipients. The attempt's log may go to the owner, also when it failed. */
function releaseProblems({ commit: c, d }: ReceiptFacts): string[] {
  const wanted = c.outcome === "ok" ? releasesOf(d, c.step) : new Map<string, Set<string>>();
  const found = Object.entries(c.releases).filter(([release]) => wanted.has(release) || release !== LOG);
  const problems = setProblems(
    "releases",
    [...wanted.keys()],
    found.map(([release]) => release),
  );
  for (const [release, sealed] of found) {
    problems.push(...setProblems(`releases.${release}`, [...(wanted.get(release) ?? [])], Object.keys(sealed)));
  }
  if (!wanted.has(LOG)) {
    for (const recipient of Object.keys(c.releases[LOG] ?? {})) {
      if (recipient !== "owner") problems.push(`releases.${LOG}: "${recipient}" is not the owner`);
    }
  }
  return problems;
}

function setProblems(at: string, wanted: string[], found: string[]): string[] {
  const problems: string[] = [];
  const left = new Set(wanted);
  for (const f of found) if (!left.delete(f)) problems.push(`${at}: "${f}" does not belong there`);
  for (const w of left) problems.push(`${at}: "${w}" is missing`);
  return problems;
}

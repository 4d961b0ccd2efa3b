/** What flowed: inputs are the producers' committed outputs or the pinned datasets; releases are the version's sinks. */

import type { Descriptor, LogEntry, Statement } from "../../protocol/messages";
import { LOG_RELEASE } from "../../protocol/messages";
import { parseEdgeName } from "../../protocol/names";
import type { RunContent } from "../../protocol/opening";
import { byPlace, placeOf, setProblems, type VerifiedCommit } from "./commits";
import type { Findings } from "./report";

export function checkEdges(
  d: Descriptor,
  content: RunContent,
  counted: readonly VerifiedCommit[],
  findings: Findings,
): void {
  const places = byPlace(counted);
  for (const commit of counted) {
    checkInputs(d, content, commit, places, findings);
    checkCondition(commit, places, findings);
    checkReleases(d, commit, findings);
  }
}

type Places = ReturnType<typeof byPlace>;

interface Producer {
  readonly edge: string;
  readonly shard: number;
  readonly digest: string | undefined;
  readonly entry: LogEntry | undefined;
}

const kindOf = (i: Statement["predicate"]["inputs"][number]): string =>
  i.from !== undefined ? "edge" : i.dataset !== undefined ? "dataset" : "imported";

/** A step with a condition claimed after the bit was committed, and the bit lets it run. */
function checkCondition({ file, step, head }: VerifiedCommit, places: Places, findings: Findings): void {
  if (!step.when) return;
  const { step: decider, output } = parseEdgeName(step.when.from);
  const [made] = places.get(placeOf(decider, 0)) ?? [];
  const bit = made?.receipt.predicate.declassified?.[output];
  if (bit !== step.when.equals) {
    findings.add("CONDITION", file, `ran although ${step.when.from} is ${bit ?? "not committed"}`);
  }
  if (made?.entry && head && made.entry.seq >= head.size) {
    findings.add("CONDITION", file, `${step.when.from} was committed after this step had claimed`, "receipt.head");
  }
}

function checkInputs(
  d: Descriptor,
  content: RunContent,
  { file, commit: c, receipt, step, head }: VerifiedCommit,
  places: Places,
  findings: Findings,
): void {
  const wanted: string[] = [];
  const line = (...parts: (string | number | undefined)[]): string => parts.join(" ");
  for (const [input, source] of Object.entries(step.inputs)) {
    if (source.imported !== undefined) {
      const { input: imported } = source.imported;
      wanted.push(line(input, "imported", imported, 0, source.format, content.imports[imported]?.object.digest));
      continue;
    }
    if (source.from === undefined) {
      const dataset = d.datasets[source.dataset ?? ""];
      wanted.push(line(input, "dataset", source.dataset, 0, source.format, dataset?.digest));
      continue;
    }
    for (const { edge, shard, digest, entry } of producersOf(
      d,
      source.from,
      source.collect === true,
      c.shard,
      places,
    )) {
      wanted.push(line(input, "edge", edge, shard, source.format, digest));
      if (entry && head && entry.seq >= head.size) {
        findings.add("INPUTS", file, `${edge}/${shard} was committed after this step had claimed`, "receipt.head");
      }
    }
  }
  const found = receipt.predicate.inputs.map((i) =>
    line(i.input, kindOf(i), i.from ?? i.dataset ?? i.imported, i.shard, i.format, i.digest),
  );
  for (const { message } of setProblems("receipt.inputs", wanted, found))
    findings.add("INPUTS", file, message, "receipt.inputs");
}

/** All shards when collected, the only one of an unsharded producer, else the consumer's own. */
function producersOf(d: Descriptor, edge: string, collect: boolean, shard: number, places: Places): Producer[] {
  const { step, output } = parseEdgeName(edge);
  const count = d.steps[step]?.limits.shards ?? 0;
  const shards = collect ? [...Array(count).keys()] : [count === 1 ? 0 : shard];
  return shards.map((from) => {
    const producer = places.get(placeOf(step, from))?.[0];
    return { edge, shard: from, digest: producer?.commit.outputs[output]?.digest, entry: producer?.entry };
  });
}

/** Exactly the version's releases of this step, each for exactly its recipients; and the log, for the owner at most. */
function checkReleases(d: Descriptor, { file, commit: c }: VerifiedCommit, findings: Findings): void {
  const wanted = Object.entries(d.releases).filter(([, { from }]) => parseEdgeName(from).step === c.step);
  const found = Object.keys(c.releases).filter((release) => release !== LOG_RELEASE);
  const names = wanted.map(([release]) => release);
  for (const { entry, message } of setProblems("releases", names, found))
    findings.add("RELEASES", file, message, entry);
  for (const [release, { recipients }] of wanted) {
    const sealed = Object.keys(c.releases[release] ?? {});
    for (const { entry, message } of setProblems(`releases.${release}`, recipients, sealed)) {
      findings.add("RELEASES", file, message, entry);
    }
  }
  for (const recipient of Object.keys(c.releases[LOG_RELEASE] ?? {})) {
    if (recipient !== "owner")
      findings.add("RELEASES", file, `"${recipient}" is not the owner`, `releases.${LOG_RELEASE}`);
  }
}

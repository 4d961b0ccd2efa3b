/**
 * Conditions: a step runs only when a declassified bit of another step has the value it names. The bit stands in the
 * receipt of the step that made it, so everybody can follow which steps were skipped: ledger, guest, `verify`.
 */
import type { DescriptorStep } from "./messages";
import { parseEdgeName } from "./names";

type Steps = Readonly<Record<string, Pick<DescriptorStep, "inputs" | "when">>>;
/** `step.output` → the bit, of steps that are committed. */
export type Bits = ReadonlyMap<string, boolean>;

/** Steps that must be committed before a step: producers of its inputs and of its condition, each once. */
export function stepsBefore({ inputs, when }: Pick<DescriptorStep, "inputs" | "when">): string[] {
  const edges = Object.values(inputs).flatMap(({ from }) => (from === undefined ? [] : [from]));
  if (when) edges.push(when.from);
  return [...new Set(edges.map((edge) => parseEdgeName(edge).step))];
}

/** Steps whose condition does not hold, and all that wait for one of them. A bit not known yet skips nothing. */
export function skippedSteps(steps: Steps, bits: Bits): Set<string> {
  const skipped = new Set<string>();
  for (const [name, { when }] of Object.entries(steps)) {
    const bit = when && bits.get(when.from);
    if (when && bit !== undefined && bit !== when.equals) skipped.add(name);
  }
  for (let more = skipped.size > 0; more; ) {
    more = false;
    for (const [name, step] of Object.entries(steps)) {
      if (skipped.has(name) || !stepsBefore(step).some((before) => skipped.has(before))) continue;
      skipped.add(name);
      more = true;
    }
  }
  return skipped;
}

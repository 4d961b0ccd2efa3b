import type { Descriptor } from "../../protocol/messages";
import { parseEdgeName } from "../../protocol/names";

/** Steps in the order in which they can run: every one after all it reads from, else by name. */
export function orderedSteps({ steps }: Descriptor): string[] {
  const waiting = new Map(
    Object.keys(steps)
      .sort()
      .map((name) => [name, producersOf(steps[name]?.inputs ?? {})]),
  );
  const ordered: string[] = [];
  while (waiting.size > 0) {
    const ready = [...waiting].filter(([, producers]) => producers.every((p) => !waiting.has(p))).map(([name]) => name);
    // A registered version has no cycle; should one be here all the same, its steps are still listed.
    for (const name of ready.length > 0 ? ready : [...waiting.keys()]) {
      ordered.push(name);
      waiting.delete(name);
    }
  }
  return ordered;
}

const producersOf = (inputs: Descriptor["steps"][string]["inputs"]): string[] =>
  Object.values(inputs).flatMap(({ from }) => (from === undefined ? [] : [parseEdgeName(from).step]));

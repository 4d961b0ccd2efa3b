/** Order of steps. */

/**
 * @param after step → steps that it waits for; every one of them is a key
 * @returns steps so that each comes after all it waits for, in the given order where that leaves a choice; and the rest:
 * steps in a cycle or behind one
 */
export function topological(after: ReadonlyMap<string, ReadonlySet<string>>): { order: string[]; rest: string[] } {
  const waiting = new Map([...after].map(([step, before]) => [step, before.size]));
  const readers = new Map<string, string[]>();
  for (const [step, before] of after) {
    for (const producer of before) {
      const list = readers.get(producer);
      if (list) list.push(step);
      else readers.set(producer, [step]);
    }
  }
  const order = [...after.keys()].filter((step) => waiting.get(step) === 0);
  for (let next = 0; next < order.length; next++) {
    for (const reader of readers.get(order[next] as string) ?? []) {
      const left = (waiting.get(reader) as number) - 1;
      waiting.set(reader, left);
      if (left === 0) order.push(reader);
    }
  }
  const placed = new Set(order);
  return { order, rest: [...after.keys()].filter((step) => !placed.has(step)) };
}

/** Each cycle once, as `[a, b, a]`: `b` reads from `a`, and `a` from `b`. Cycles that share a step may be told as one. */
export function cycles(after: ReadonlyMap<string, ReadonlySet<string>>): string[][] {
  const left = new Set(topological(after).rest);
  const found: string[][] = [];
  while (left.size > 0) {
    // Every step left waits for one left: walking backwards must come to a step for the second time.
    const path: string[] = [];
    let step = left.values().next().value as string;
    while (!path.includes(step)) {
      path.push(step);
      const before = [...(after.get(step) ?? [])].find((producer) => left.has(producer));
      if (before === undefined) break;
      step = before;
    }
    const start = path.indexOf(step);
    const last = path.at(-1) as string;
    if (after.get(last)?.has(step)) found.push([...path.slice(start), step].reverse());
    for (const seen of path) left.delete(seen);
  }
  return found;
}

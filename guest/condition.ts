/** A step with a condition runs only when the receipt of the step that decides says so; the ledger's word is not enough. */
import { parseEdgeName } from "../protocol/names";
import type { Assignment } from "./answer";
import type { OpenedBundle } from "./bundle";
import { RunnerError } from "./errors";
import { verifyCommitted } from "./producer";

/** @throws RunnerError CONDITION, INPUT_RECEIPT or LOG_PROOF. */
export async function checkCondition(opened: OpenedBundle, work: Assignment): Promise<void> {
  const { when } = opened.bundle.program;
  const { condition } = work.go;
  const wrong = (what: string) => new RunnerError("CONDITION", `condition: ${what}`);
  if (!when) {
    if (condition) throw wrong("the step has none");
    return;
  }
  if (!condition) throw wrong("nothing proves that it holds");
  const { output } = parseEdgeName(when.from);
  const { predicate: p } = await verifyCommitted(opened, work, { ...condition, edge: when.from, shard: 0 }, wrong);
  const bits = p.declassified ?? {};
  const bit = Object.hasOwn(bits, output) ? bits[output] : undefined;
  if (bit === undefined) throw wrong(`the receipt of ${when.from} has no such bit`);
  if (bit !== when.equals) throw wrong(`${when.from} is ${bit}: the step does not run`);
}

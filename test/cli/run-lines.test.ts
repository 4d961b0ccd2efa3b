/** What `sealflow run` offers at its end. */
import { runLines } from "../../cli/commands/run";
import type { RunSummary } from "../../cli/run/summary";

const open: RunSummary = {
  version: 1,
  stack: "local",
  pipeline: "p",
  pipelineUid: "a".repeat(64),
  run: "b".repeat(64),
  state: "open",
  seconds: 1,
  steps: [{ name: "train", state: "waiting", seconds: 0, identity: "c".repeat(64) }],
  released: {},
  receiptsVerified: null,
  receiptsExpected: 1,
  folder: null,
};

it("an open run is offered for resume", () => {
  expect(runLines(open).join("\n")).toContain("run --resume bbbbbbbbbbbb");
});

it("an open run whose step was refused is not: it would be refused again", () => {
  const text = runLines({ ...open, refused: { step: "train", reason: "exit 20: BUNDLE_DENIED" } }).join("\n");
  expect(text).not.toContain("--resume");
  expect(text).toContain("step train was refused (exit 20: BUNDLE_DENIED) and would be again: npx sealflow cancel");
});

/** What `sealflow run` offers at its end. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { runLines } from "../../cli/commands/run";
import type { RunSummary } from "../../cli/run/summary";
import { choiceOf } from "../../cli/support/pipelines";

const KEY = "A".repeat(43);
const CONNECTION = {
  version: 1,
  kbsUrl: "https://127.0.0.1:1",
  ledgerUrl: "https://127.0.0.1:2",
  caPem: `-----BEGIN CERTIFICATE-----\n${"TUlJQ".repeat(12)}\n-----END CERTIFICATE-----\n`,
  ledgerKey: KEY,
  pipelineUid: "a".repeat(64),
  ownerPublicKey: KEY,
  descriptor: "a.b.c",
};

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

it("commands name the pipeline where another is deployed beside it", () => {
  const home = mkdtempSync(path.join(tmpdir(), "sealflow-choice-"));
  const deploy = (stack: string, name: string): void => {
    const connection = { ...CONNECTION, stack, name };
    mkdirSync(path.join(home, "pipelines", stack), { recursive: true });
    writeFileSync(path.join(home, "pipelines", stack, `${name}.json`), JSON.stringify(connection));
  };
  try {
    deploy("local", "p");
    expect(choiceOf(home, { stack: "local", name: "p" })).toBe("");
    deploy("prod", "p");
    const choice = choiceOf(home, { stack: "prod", name: "p" });
    expect(choice).toBe(" --stack prod");
    deploy("prod", "q");
    expect(choiceOf(home, { stack: "prod", name: "q" })).toBe(" --stack prod --pipeline q");
    expect(choiceOf(home, { stack: "local", name: "p" })).toBe(" --stack local");
    expect(runLines(open, choice).join("\n")).toContain("run --resume bbbbbbbbbbbb --stack prod; or be given up");
  } finally {
    rmSync(home, { recursive: true });
  }
});

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { releasedFiles, releasedLines } from "../../cli/support/released";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(path.join(tmpdir(), "sealflow-released-"));
});
afterEach(() => rmSync(dir, { recursive: true }));

function file(name: string, content: string): string {
  const full = path.join(dir, name);
  writeFileSync(full, content);
  return full;
}

test("figures of small JSON releases are shown digit for digit, large and other ones by their file", async () => {
  const metrics = file("metrics", '{"selected":"bayes","models":{"bayes":{"f1":0.9730941704035875}},"rows":[1,2]}\n');
  const model = file("model", JSON.stringify({ weights: Array(10_000).fill(0.5) }));
  const released = await releasedFiles(dir, { metrics, model, text: file("text", "no JSON") });
  expect(released.metrics?.value).toEqual({
    selected: "bayes",
    models: { bayes: { f1: 0.9730941704035875 } },
    rows: [1, 2],
  });
  expect(released.model?.value).toBeUndefined();
  expect(releasedLines(released).map((line) => line.trim().split(/ {2,}/))).toEqual([
    ["metrics.selected", "bayes"],
    ["metrics.models.bayes.f1", "0.9730941704035875"],
    ["model", "model (40013 bytes)"],
    ["text", "text (7 bytes)"],
  ]);
});

test("keys and texts of a release begin no line of their own", async () => {
  const value = { "a\nreceipts verified: 9/9\u2028b": "x\r\nreceipts verified: 9/9", ["k".repeat(5000)]: 1 };
  const released = await releasedFiles(dir, { report: file("report", JSON.stringify(value)) });
  const lines = releasedLines(released);
  for (const line of lines) expect(line).not.toMatch(/[\r\n\u2028]/);
  expect(lines[0]).toMatch(/report\.a receipts verified: 9\/9 b +x receipts/);
  expect(lines[1]?.length).toBeLessThan(200);
});

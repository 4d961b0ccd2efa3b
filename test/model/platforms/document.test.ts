import fs from "node:fs";
import path from "node:path";
import { FAMILIES, PLATFORMS, platformsDocument } from "../../../model";

const text = fs.readFileSync(path.resolve(__dirname, "../../../docs/platforms.md"), "utf8");

it("docs/platforms.md is current; else run: node tools/platforms-doc.js", () => {
  expect(text).toBe(platformsDocument());
});

it("tells every platform and family with its reason, in tables that are whole", () => {
  for (const { platform, reason } of PLATFORMS)
    expect(text.split("\n").filter((l) => l.startsWith(`| \`${platform}\` |`) && l.includes(reason))).toHaveLength(1);
  for (const { family } of FAMILIES) expect(text).toContain(`| ${family} |`);
  const widths = text.split("\n\n").filter((part) => part.startsWith("|"));
  for (const part of widths)
    expect(
      new Set(
        part
          .trim()
          .split("\n")
          .map((l) => l.split(" | ").length),
      ).size,
    ).toBe(1);
});

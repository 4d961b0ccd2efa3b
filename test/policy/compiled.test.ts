import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const ROOT = join(__dirname, "../..");
const COMPILED = join(ROOT, "policy/compiled");
const { TEXTS } = require("../../tools/policy-build.js") as { TEXTS: { name: string }[] };
interface Manifest {
  opa: string;
  texts: Record<string, { source: string; sourceSha256: string; wasmSha256: string; bytes: number }>;
}
const manifest = JSON.parse(readFileSync(join(COMPILED, "manifest.json"), "utf8")) as Manifest;
const sha256 = (path: string) => createHash("sha256").update(readFileSync(path)).digest("hex");

describe("compiled policies", () => {
  it("the manifest lists every text", () => {
    expect(Object.keys(manifest.texts)).toEqual(TEXTS.map(({ name }) => name));
  });

  it.each(Object.entries(manifest.texts))("%s is compiled from the text beside it", (name, entry) => {
    // When this fails: npm run policy:build
    expect(sha256(join(ROOT, entry.source))).toBe(entry.sourceSha256);
    expect(sha256(join(COMPILED, `${name}.wasm`))).toBe(entry.wasmSha256);
  });
});

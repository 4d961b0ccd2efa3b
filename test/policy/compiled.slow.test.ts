import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const { build, findOpa } = require("../../tools/policy-build.js") as {
  build(out: string, opa?: string): { texts: Record<string, { wasmSha256: string }> };
  findOpa(): string | undefined;
};

/** undefined where neither Go nor its modules can be had; then only the manifest is checked (compiled.test.ts). */
function opaIfPossible(): string | undefined {
  try {
    return findOpa();
  } catch (error) {
    console.warn(`OPA cannot be built here: ${(error as Error).message}`);
    return undefined;
  }
}

const opa = opaIfPossible();

(opa ? it : it.skip)(
  "compiling the policies again with the pinned OPA gives the committed bytes",
  () => {
    const manifest = JSON.parse(readFileSync(join(__dirname, "../../policy/compiled/manifest.json"), "utf8"));
    const out = mkdtempSync(join(tmpdir(), "sealflow-policies-"));
    expect(build(out, opa)).toEqual(manifest);
    rmSync(out, { recursive: true });
  },
  600_000,
);

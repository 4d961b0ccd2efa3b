import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const { build, findOpa } = require("../../tools/policy-build.js") as {
  build(out: string, opa?: string): { texts: Record<string, { wasmSha256: string }> };
  findOpa(options?: { build: boolean }): string | undefined;
};

function hasGo(): boolean {
  try {
    execFileSync("go", ["version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

const possible = findOpa({ build: false }) !== undefined || hasGo();

(possible ? it : it.skip)(
  "compiling the policies again with the pinned OPA gives the committed bytes",
  () => {
    const manifest = JSON.parse(readFileSync(join(__dirname, "../../policy/compiled/manifest.json"), "utf8"));
    const out = mkdtempSync(join(tmpdir(), "sealflow-policies-"));
    expect(build(out)).toEqual(manifest);
    rmSync(out, { recursive: true });
  },
  600_000,
);

/** The pack's folder as a project without @pulumi/policy meets it. */
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";

test("without @pulumi/policy the pack says what to install, and shows no stack", () => {
  const project = mkdtempSync(path.join(tmpdir(), "sealflow-pack-"));
  try {
    const pack = path.join(project, "node_modules/sealflow/plugin/policy-pack");
    mkdirSync(pack, { recursive: true });
    copyFileSync(path.resolve(__dirname, "../../plugin/policy-pack/index.js"), path.join(pack, "index.js"));
    const { status, stderr } = spawnSync(process.execPath, [path.join(pack, "index.js")], { encoding: "utf8" });
    expect(status).toBe(1);
    expect(stderr).toMatch(
      /^sealflow's policy pack needs @pulumi\/policy .*: npm install --save-dev @pulumi\/policy\n$/,
    );
  } finally {
    rmSync(project, { recursive: true });
  }
});

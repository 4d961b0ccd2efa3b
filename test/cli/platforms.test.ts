import { existsSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { componentOf, PLATFORMS } from "../../model";
import { call } from "./support/call";

const sealflow = (...args: string[]) => call(["platforms", ...args], { cwd: tmpdir() });

test("platforms is a table of all, outside of any project", async () => {
  const { code, stdout, stderr } = await sealflow();
  expect(code).toBe(0);
  expect(stderr).toBe("");
  for (const { platform, state } of PLATFORMS) expect(stdout).toMatch(new RegExp(`^${platform} +${state}  `, "m"));
  expect(stdout).toMatch(/^azure-peer-pods-tdx +supported +TDX +az-tdx-vtpm +pod +PCR 8$/m);
  expect(stdout).toMatch(/^aws-peer-pods-snp +experimental +SEV-SNP +snp +pod +not bound$/m);
});

test("with --json it is the same data, sizes included", async () => {
  const { json } = await sealflow("--json");
  expect(json.platforms).toEqual(JSON.parse(JSON.stringify(PLATFORMS)));
  const family = json.families.find((f: { family: string }) => f.family === "DCas_v5");
  expect(family.sizes[0]).toEqual({ name: "Standard_DC2as_v5", vcpus: 2, memoryGiB: 8 });
});

test("one platform comes with sizes, initdata rule and source", async () => {
  const { stdout } = await sealflow("azure-peer-pods-snp");
  expect(stdout).toMatch(/^ {2}Standard_DC2as_v5 +2 vCPUs, 8 GiB$/m);
  expect(stdout).toContain("initdata: sha256, PCR 8, at most 45056 characters");
  expect(stdout).toContain("deployed by: AksPeerPods of sealflow/azure (docs/azure.md)");
  expect((await sealflow("aks-kata-cc")).stdout).toContain("use instead: peer pods on AKS");
  expect((await sealflow("baremetal-tdx", "--json")).json).toMatchObject({ tee: "tdx", families: [] });
});

test("one that does not exist is wrong usage, with the one that was meant", async () => {
  const { code, stderr } = await sealflow("baremetal-sn");
  expect(code).toBe(1);
  expect(stderr).toContain('Did you mean "baremetal-snp"?');
});

test("every platform that may be used names a component that its entry exports, and a file in docs/", () => {
  const root = path.resolve(__dirname, "../..");
  for (const { platform, state } of PLATFORMS) {
    const found = componentOf(platform);
    expect({ platform, has: found !== undefined }).toEqual({ platform, has: state !== "refused" });
    if (!found) continue;
    const entry = found.entry === "sealflow" ? "index.ts" : `components/${found.entry.split("/")[1]}.ts`;
    expect(readFileSync(path.join(root, entry), "utf8")).toMatch(new RegExp(`\\b${found.component}\\b`));
    expect(existsSync(path.join(root, "docs", found.doc))).toBe(true);
  }
});

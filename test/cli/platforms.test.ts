import { tmpdir } from "node:os";
import { PLATFORMS } from "../../model";
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
  expect((await sealflow("aks-kata-cc")).stdout).toContain("use instead: peer pods on AKS");
  expect((await sealflow("baremetal-tdx", "--json")).json).toMatchObject({ tee: "tdx", families: [] });
});

test("one that does not exist is wrong usage, with the one that was meant", async () => {
  const { code, stderr } = await sealflow("baremetal-sn");
  expect(code).toBe(1);
  expect(stderr).toContain('Did you mean "baremetal-snp"?');
});

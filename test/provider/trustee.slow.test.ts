/** Trustee's resources under the real engine, against a relying party elsewhere that this machine reaches by routes. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { type Dev, startDev } from "../../relying-party/dev";
import { KbsAdmin } from "../../relying-party/kbs-client";
import { devAdminTokens } from "../support/admin-key";
import { createProject, type Project } from "../support/project";

jest.setTimeout(300_000);

const PROGRAM = `
const sealflow = require("sealflow");
const { relyingParty, measurements, secret } = JSON.parse(require("fs").readFileSync(__dirname + "/../input.json"));
const policies = ["attestation-cpu", "attestation-gpu", "resource"].map(
  (policy) => new sealflow.KbsPolicy(policy, { policy, relyingParty }));
new sealflow.ReferenceValues("snp", {
  tee: "snp", source: "release 1", defaultPolicy: "deny", measurements, relyingParty,
  minimumTcb: { bootloader: 4, tee: 0, snp: 20, microcode: 200 },
}, { dependsOn: policies });
new sealflow.KbsReferenceValue("other", { id: "team/model", value: ["a"], relyingParty });
new sealflow.KbsResource("secret", { path: "team/token/api", content: secret, relyingParty }, { dependsOn: policies });
`;
const hex = (n: number) => n.toString(16).padStart(2, "0").repeat(48);

let elsewhere: string;
let dev: Dev;
let kbs: KbsAdmin;
let project: Project;
let env: NodeJS.ProcessEnv;

beforeAll(async () => {
  elsewhere = mkdtempSync(path.join(tmpdir(), "sealflow-elsewhere-"));
  dev = await startDev({ home: elsewhere, log: () => undefined });
  kbs = new KbsAdmin({ ...dev.connection, url: dev.connection.kbsUrl, token: devAdminTokens(elsewhere) });
  project = createProject(PROGRAM);
  const to = new URL(dev.connection.kbsUrl).host;
  env = {
    SEALFLOW_ROUTES: `https://127.0.0.1:1=${to}`,
    SEALFLOW_KBS_ADMIN_KEY_FILE: path.join(elsewhere, "dev", "admin-key.jwk"),
  };
});
afterAll(async () => {
  kbs.close();
  project.remove();
  await dev.close();
  rmSync(elsewhere, { recursive: true });
});

const say = (measurements: string[], secret = "first secret") => {
  const { caPem, ledgerKey } = dev.connection;
  const relyingParty = { kbsUrl: "https://127.0.0.1:1", ledgerUrl: "https://127.0.0.1:2", caPem, ledgerKey };
  project.write("input.json", JSON.stringify({ relyingParty, measurements, secret }));
};

test("policies, reference values and secrets are deployed, previewed value by value, and go; no key is in the state", async () => {
  say([hex(1), hex(2)]);
  await project.ok(["stack", "init", "dev"]);
  const refused = await project.pulumi(["up", "--yes"], { ...env, SEALFLOW_KBS_ADMIN_KEY_FILE: "" });
  expect(refused.code).not.toBe(0);
  expect(refused.stdout + refused.stderr).toMatch(/admin-keys\/127\.0\.0\.1-1-.*\.jwk: no such file/);

  await project.ok(["up", "--yes"], env);
  await expect(kbs.canary("production")).resolves.toBeDefined();
  expect(await kbs.referenceValue("sealflow.snp.measurement")).toEqual([hex(1), hex(2)]);
  expect(await kbs.referenceValue("team/model")).toEqual(["a"]);

  say([hex(2), hex(3)]);
  const preview = await project.ok(["preview", "--diff"], env);
  expect(preview).toMatch(new RegExp(`- ${hex(1)}: "given"`));
  expect(preview).toMatch(new RegExp(`\\+ ${hex(3)}: "given"`));
  expect(preview).not.toMatch(new RegExp(`[-+] ${hex(2)}`));
  expect(preview).toMatch(/~ 1 to update\s+6 unchanged/);

  const exported = (await project.pulumi(["stack", "export", "-s", "dev"])).stdout;
  const { d } = JSON.parse(readFileSync(path.join(elsewhere, "dev", "admin-key.jwk"), "utf8"));
  for (const hidden of [d, "first secret", new URL(dev.connection.kbsUrl).port, "package policy"]) {
    expect(exported.includes(hidden)).toBe(false);
  }

  await project.ok(["destroy", "--yes"], env);
  expect(await kbs.referenceValue("sealflow.snp.measurement")).toEqual([]);
  expect(await kbs.deleteResource("team/token/api")).toBe(false);
});

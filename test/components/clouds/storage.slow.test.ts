/** Storage of sealed objects in both clouds: closed from the first moment, and gone in the end. */
import * as path from "node:path";
import { EngineStack } from "../../support/engine-stack";
import { LEDGER_ROLE, PRINCIPAL } from "./given";

let stack: EngineStack;
beforeAll(async () => {
  stack = await EngineStack.create({ module: path.join(__dirname, "programs.ts") });
  const ledger = { id: "ledger", type: "identity", name: "", inputs: {}, outputs: { principalId: PRINCIPAL } };
  stack.cloud("azure-native").put(ledger);
  await stack.program("bothStorages", { principalId: PRINCIPAL, deleteObjects: false });
}, 120_000);
afterAll(() => stack?.close());

const inputs = (pkg: string, name: string) =>
  stack
    .cloud(pkg)
    .all()
    .find((resource) => resource.name === name)?.inputs as Record<string, never>;

const PACK = path.resolve(__dirname, "../../../plugin/policy-pack");

test("up under the policy pack, and a second preview without changes", async () => {
  const first = await stack.up("--policy-pack", PACK);
  expect(first).toMatchObject({ ok: true });
  expect(first.text).toContain("sealflow");
  expect(await stack.preview("--expect-no-changes")).toMatchObject({ ok: true });
  const { s3, blob } = (await stack.outputs()) as { s3: string; blob: string };
  expect(s3).toMatch(/^s3:\/\/sealed-bucket-\w+\?region=us-east-2$/);
  expect(blob).toMatch(/^https:\/\/[a-z0-9]{3,24}\.blob\.core\.windows\.net\/objects$/);
}, 120_000);

test("S3: without TLS nobody gets in, and to objects nobody but the ledger's role", () => {
  const { Statement } = JSON.parse(inputs("aws", "sealed-policy").policy ?? "");
  const sids = Object.fromEntries(Statement.map((s: { Sid: string }) => [s.Sid, s]));
  expect(sids.TlsOnly).toMatchObject({
    Effect: "Deny",
    Principal: "*",
    Condition: { Bool: { "aws:SecureTransport": "false" } },
  });
  expect(sids.ObjectsForLedgerOnly).toMatchObject({
    Effect: "Deny",
    Principal: "*",
    Condition: { StringNotEquals: { "aws:PrincipalArn": LEDGER_ROLE } },
  });
  // Versions have actions of their own.
  const closed = sids.ObjectsForLedgerOnly.Action as string[];
  const covers = (action: string) => closed.some((one) => new RegExp(`^${one.replace("*", ".*")}$`).test(action));
  for (const verb of ["Get", "Put", "Delete"]) expect(covers(`s3:${verb}Object`)).toBe(true);
  for (const action of ["GetObjectVersion", "DeleteObjectVersion", "PutObjectAcl", "GetObjectAttributes"])
    expect(covers(`s3:${action}`)).toBe(true);
  expect(
    Statement.filter((s: { Effect: string; Principal: unknown }) => s.Effect === "Allow" && s.Principal === "*"),
  ).toEqual([]);
  expect(inputs("aws", "sealed-not-public")).toMatchObject({ blockPublicAcls: true, restrictPublicBuckets: true });
  const key = JSON.parse(inputs("aws", "sealed-key").policy ?? "").Statement;
  const users = key.filter((s: { Action: string[] }) => s.Action.includes("kms:Decrypt"));
  expect(users.map((s: { Principal: object }) => s.Principal)).toEqual([{ AWS: LEDGER_ROLE }]);
});

test("Azure: no account keys, nothing public, roles of the ledger alone", () => {
  expect(inputs("azure-native", "blobs-account")).toMatchObject({
    allowSharedKeyAccess: false,
    allowBlobPublicAccess: false,
    enableHttpsTrafficOnly: true,
  });
  expect(inputs("azure-native", "blobs-objects")).toMatchObject({ publicAccess: "None" });
  const roles = stack
    .cloud("azure-native")
    .all()
    .filter(({ type }) => type.endsWith(":RoleAssignment"));
  expect(roles.map((role) => role.inputs.principalId)).toEqual([PRINCIPAL, PRINCIPAL]);
});

test("Azure: neither another location nor a destroy takes the account with its objects, unless the program says so", async () => {
  await stack.program("bothStorages", { principalId: PRINCIPAL, deleteObjects: false, location: "westeurope" });
  const replaced = await stack.preview();
  expect(replaced).toMatchObject({ ok: false });
  expect(replaced.text).toMatch(
    /unable to replace resource .*blobs-account"\s+as it is currently marked for protection/,
  );
  expect(await stack.destroy()).toMatchObject({ ok: false });
  expect(inputs("azure-native", "blobs-account")).toBeDefined();
  expect(inputs("azure-native", "blobs-objects")).toBeDefined();
  await stack.program("bothStorages", { principalId: PRINCIPAL });
  expect(await stack.up()).toMatchObject({ ok: true });
}, 120_000);

test("a destroy that stops at a bucket with objects leaves the key that decrypts them", async () => {
  stack.cloud("aws").faults = [{ on: "delete", of: "sealed-bucket", kind: "denied" }];
  expect(await stack.destroy()).toMatchObject({ ok: false });
  expect(inputs("aws", "sealed-bucket")).toBeDefined();
  expect(inputs("aws", "sealed-key")).toBeDefined();
}, 120_000);

test("destroy leaves nothing", async () => {
  expect(await stack.destroy()).toMatchObject({ ok: true });
  expect(stack.cloud("aws").all()).toEqual([]);
  expect(
    stack
      .cloud("azure-native")
      .all()
      .map(({ id }) => id),
  ).toEqual(["ledger"]);
}, 120_000);

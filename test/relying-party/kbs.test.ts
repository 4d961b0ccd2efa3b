import { spawn } from "node:child_process";
import { createHash, generateKeyPairSync } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  attestationPolicy,
  GRANT_CLAIM,
  grantId,
  grantValue,
  resourcePolicy,
  type StepGuest,
  stepGuest,
} from "../../policy";
import { base64url, utf8 } from "../../protocol/bytes";
import { jcs } from "../../protocol/canonical";
import { sha384 } from "../../protocol/crypto";
import { kbsJwe, openKbsJwe, reportData, sampleAttestation, sampleEvidenceFor, teePubKeyOf } from "../../protocol/rcar";
import { parse } from "../../protocol/shape";
import { createDevKbs, type DevKbs } from "../../relying-party/dev-kbs";
import { HttpsClient } from "../../relying-party/http/client";
import { adminTokens, KbsAdmin, type KbsError, mintAdminToken, sampleHandshake } from "../../relying-party/kbs-client";
import { TEST_ADMIN, TEST_ADMIN_KEY } from "../support/admin-key";
import { serveHttps, type TestServer } from "../support/https";

let dir: string;
let kbs: DevKbs;
let server: TestServer;
let admin: KbsAdmin;
let http: HttpsClient;
let time = Date.parse("2026-09-01T00:00:00Z");
const refusals: string[] = [];
const tokens = adminTokens(TEST_ADMIN_KEY, () => time);
const asAdmin = async () => ({ authorization: `Bearer ${await tokens()}` });

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "sealflow-kbs-"));
  kbs = createDevKbs({ dir, admin: TEST_ADMIN, now: () => time, onRefusal: (type) => refusals.push(type) });
  server = await serveHttps((request) => kbs.handle(request));
  admin = new KbsAdmin({ url: server.url, caPem: server.caPem, token: tokens });
  http = new HttpsClient({ url: server.url, caPem: server.caPem });
});

afterAll(async () => {
  admin.close();
  http.close();
  await server.close();
  kbs.close();
  rmSync(dir, { recursive: true });
});

const guestOf = (ns: string, program: string, image = "ab"): StepGuest & { resource: string } => {
  const resource = `${ns}/step/${program}`;
  const imageReference = `${ns}.sealflow.local/x@sha256:${image.repeat(32)}`;
  return {
    resource,
    ...stepGuest({ tee: "sample", kbsUrl: server.url, caPem: server.caPem, imageReference, resource }),
  };
};

/** Bundle, image key and grant of one step, as a stack puts them. */
async function deploy(ns: string, program: string) {
  const guest = guestOf(ns, program);
  const paths = [guest.resource, `${ns}/image/key`];
  await admin.putResource(guest.resource, utf8(`bundle of ${program}`));
  await admin.putResource(`${ns}/image/key`, utf8(`image key of ${ns}`));
  await admin.putGrant(grantId("sample", guest.identity), grantValue({ tee: "sample", paths }));
  return { ...guest, id: grantId("sample", guest.identity), paths };
}

const read = async (initdata: string | null, path: string): Promise<string> => {
  const guest = await sampleHandshake(http, initdata);
  return Buffer.from(await guest.resource(path)).toString();
};
const code = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "ok",
    (error: KbsError) => error.kbsType ?? error.code ?? String(error),
  );

describe("before the policies are installed", () => {
  it("nobody gets anything, and the canary says so", async () => {
    const guest = await deploy("sf-early", "p1");
    expect(await code(read(guest.initdata, guest.resource))).toBe("PolicyDeny");
    await expect(admin.canary()).rejects.toMatchObject({ code: "POLICIES" });
  });

  it("texts that are not shipped are refused with the reason", async () => {
    const post = async (path: string, body: unknown) =>
      http.json("POST", `/kbs/v0/${path}`, body, { headers: await asAdmin() });
    const text = base64url(utf8("package policy\ndefault allow := true\n"));
    const resource = await post("resource-policy", { policy: text });
    expect(resource.status).toBe(401);
    expect(resource.body).toEqual({
      type: "https://github.com/confidential-containers/kbs/errors/PolicyEngineError",
      detail: expect.stringContaining("takes only the policy texts shipped"),
    });
    const attestation = await post("attestation-policy", { policy_id: "default_cpu", policy: text });
    expect(attestation.body).toMatchObject({ detail: expect.stringContaining("Set Attestation Policy failed") });
  });
});

describe("with Sealflow's policies", () => {
  beforeAll(() => admin.putPolicies());

  it("the canary passes", async () => {
    await expect(admin.canary()).resolves.toMatchObject({ mode: "development" });
  });

  it("a guest gets exactly what its grant names, by cookie and by bearer token", async () => {
    const a = await deploy("sf-a", "p1");
    const b = await deploy("sf-a", "p2");
    expect(await read(a.initdata, a.resource)).toBe("bundle of p1");
    expect(await read(a.initdata, "sf-a/image/key")).toBe("image key of sf-a");
    expect(await read(b.initdata, b.resource)).toBe("bundle of p2");
    expect(await code(read(a.initdata, b.resource))).toBe("PolicyDeny");
    expect(await code(read(b.initdata, a.resource))).toBe("PolicyDeny");
    expect(await code(read(a.initdata, "sf-b/image/key"))).toBe("PolicyDeny");

    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const { cookie } = await attested(privateKey, a.initdata);
    const byCookie = await http.json("GET", `/kbs/v0/resource/${a.resource}`, undefined, { headers: { cookie } });
    expect(Buffer.from(openKbsJwe(privateKey, parse(kbsJwe, byCookie.body, "jwe"))).toString()).toBe("bundle of p1");
  });

  it.each([
    ["without initdata", () => null],
    ["with unknown initdata", (g: StepGuest) => g.initdata.replace("sf-c.sealflow.local/x", "sf-c.sealflow.local/y")],
    ["with one byte changed", (g: StepGuest) => g.initdata.replace('version = "0.1.0"', 'version =  "0.1.0"')],
    ["with another digest algorithm", (g: StepGuest) => g.initdata.replace('"sha256"', '"sha384"')],
  ])("a guest %s is denied", async (_what, change) => {
    const guest = await deploy("sf-c", "p1");
    expect(await read(guest.initdata, guest.resource)).toBe("bundle of p1");
    const changed = change(guest);
    expect(changed).not.toBe(guest.initdata);
    expect(await code(read(changed, guest.resource))).toBe("PolicyDeny");
  });

  const path = "sf-d/step/p1";
  it.each<[string, unknown]>([
    ["revoked", []],
    ["null", null],
    ["a bare list", [path]],
    ["a text", path],
    ["true", true],
    ["a number", 1.5],
    ["an object of paths", { tee: "sample", paths: { a: path } }],
    ["paths that are one text", { tee: "sample", paths: path }],
    ["for another TEE", { tee: "snp", paths: [path] }],
    ["without TEE", { paths: [path] }],
    ["a list with a number", { tee: "sample", paths: [path, 7] }],
    ["a path with a wildcard", { tee: "sample", paths: ["sf-d/step/*"] }],
    ["a prefix", { tee: "sample", paths: ["sf-d/step"] }],
    ["too long a list", { tee: "sample", paths: [path, ...Array.from({ length: 300 }, (_, i) => `a/b/${i}`)] }],
    ["for other measurements", { tee: "sample", paths: [path], measurements: ["other"] }],
    ["with measurements that are no list", { tee: "sample", paths: [path], measurements: "abcde" }],
    ["that requires a device", { tee: "sample", paths: [path], require: ["gpu0"] }],
    ["with requirements that are no list", { tee: "sample", paths: [path], require: "cpu0" }],
  ])("a grant that is %s grants nothing and breaks no handshake", async (_what, value) => {
    const guest = guestOf("sf-d", "p1");
    await admin.putResource(guest.resource, utf8("secret"));
    await admin.putReferenceValue(grantId("sample", guest.identity), value);
    const session = await sampleHandshake(http, guest.initdata);
    expect(cpu(session.claims)[GRANT_CLAIM]).toBeDefined();
    expect(await code(session.resource(guest.resource))).toBe("PolicyDeny");
  });

  it("a grant narrowed to the guest's measurement is granted", async () => {
    const guest = guestOf("sf-d", "p2");
    await admin.putResource(guest.resource, utf8("secret"));
    const value = grantValue({ tee: "sample", paths: [guest.resource], measurements: ["abcde"], require: ["cpu0"] });
    await admin.putGrant(grantId("sample", guest.identity), value);
    expect(await read(guest.initdata, guest.resource)).toBe("secret");
  });

  it("a revoked grant denies new tokens at once and issued ones after six minutes", async () => {
    const guest = await deploy("sf-e", "p1");
    const before = await sampleHandshake(http, guest.initdata);
    await admin.revokeGrant(guest.id);
    expect(await code(read(guest.initdata, guest.resource))).toBe("PolicyDeny");
    expect(await code(before.resource(guest.resource))).toBe("ok");
    time += 6 * 60_000 + 1000;
    expect(await code(before.resource(guest.resource))).toBe("TokenVerifierError");
  });

  it("an extra device that is not affirming denies everything", async () => {
    const guest = await deploy("sf-f", "p1");
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    for (const device of ["sampledevice", "sample"]) {
      const { token } = await attested(privateKey, guest.initdata, device);
      const answer = await http.json("GET", `/kbs/v0/resource/${guest.resource}`, undefined, {
        headers: { authorization: `Bearer ${token}` },
      });
      expect(answer.body).toMatchObject({ detail: "Access denied by policy" });
    }
  });

  it("two stacks do not disturb each other", async () => {
    const a = await deploy("sf-g", "p1");
    const b = await deploy("sf-h", "p1");
    await admin.revokeGrant(b.id);
    for (const path of b.paths) expect(await admin.deleteResource(path)).toBe(true);
    expect(await read(a.initdata, a.resource)).toBe("bundle of p1");
    expect(await code(read(b.initdata, b.resource))).toBe("PolicyDeny");
    await deploy("sf-h", "p1");
    expect(await read(b.initdata, b.resource)).toBe("bundle of p1");
  });

  it("the release matrix of a DAG equals its grants exactly", async () => {
    const programs = ["ingest", "split", "train-a", "train-b", "evaluate", "gate"];
    const steps: Awaited<ReturnType<typeof deploy>>[] = [];
    for (const program of programs) steps.push(await deploy("sf-dag", program));
    const every = [...new Set(steps.flatMap((s) => s.paths))];
    for (const step of steps) {
      const guest = await sampleHandshake(http, step.initdata);
      const got: string[] = [];
      for (const path of every) if ((await code(guest.resource(path))) === "ok") got.push(path);
      expect(got.sort()).toEqual([...step.paths].sort());
    }
  });

  it("40 grants at once are all kept", async () => {
    const guests = Array.from({ length: 40 }, (_, i) => guestOf("sf-i", `p${i}`));
    await Promise.all(
      guests.map((g) =>
        admin.putGrant(grantId("sample", g.identity), grantValue({ tee: "sample", paths: [g.resource] })),
      ),
    );
    for (const g of guests) {
      expect(await admin.referenceValue(grantId("sample", g.identity))).toMatchObject({ paths: [g.resource] });
    }
  });

  it("a production policy never accepts simulated evidence, and the canary knows", async () => {
    const guest = await deploy("sf-j", "p1");
    const production = new KbsAdmin({ url: server.url, caPem: server.caPem, token: tokens, mode: "production" });
    await expect(production.canary()).rejects.toMatchObject({ code: "POLICIES" });
    await production.putPolicies();
    expect(await code(read(guest.initdata, guest.resource))).toBe("PolicyDeny");
    await expect(production.canary()).resolves.toMatchObject({ mode: "production" });
    await expect(admin.canary()).rejects.toMatchObject({ code: "POLICIES" });
    production.close();
    await admin.putPolicies();
    expect(await read(guest.initdata, guest.resource)).toBe("bundle of p1");
  });
});

describe("errors are Trustee's", () => {
  const get = (path: string, headers = {}) => http.json("GET", `/kbs/v0/${path}`, undefined, { headers });
  const body = (type: string, detail: unknown) => ({
    type: `https://github.com/confidential-containers/kbs/errors/${type}`,
    detail,
  });
  it("granted but absent", async () => {
    const guest = await deploy("sf-k", "p1");
    await admin.deleteResource(guest.resource);
    const { token } = await sampleHandshake(http, guest.initdata);
    const answer = await get(`resource/${guest.resource}`, { authorization: `Bearer ${token}` });
    expect(answer).toMatchObject({ status: 401, body: body("PluginInternalError", "Plugin internal error") });
  });

  it("no token, bad token, unknown endpoint", async () => {
    expect(await get("resource/a/b/c")).toMatchObject({
      status: 401,
      body: body("TokenNotFound", "Attestation Token not found"),
    });
    expect(await get("resource/a/b/c", { authorization: "Bearer a.b.c" })).toMatchObject({
      status: 401,
      body: body("TokenVerifierError", "Token Verifier error"),
    });
    expect(await get("attestation-policy", await asAdmin())).toMatchObject({
      status: 404,
      body: body("PluginNotFound", "Plugin attestation-policy not found"),
    });
  });

  it("a token of another key", async () => {
    const guest = await deploy("sf-k", "p2");
    const { token } = await sampleHandshake(http, guest.initdata);
    const [header, payload, signature = ""] = token.split(".");
    const bytes = Buffer.from(signature, "base64url");
    bytes[9] = (bytes[9] ?? 0) ^ 1;
    const forged = `${header}.${payload}.${bytes.toString("base64url")}`;
    const answer = await get(`resource/${guest.resource}`, { authorization: `Bearer ${forged}` });
    expect(answer.body).toMatchObject(body("TokenVerifierError", "Token Verifier error"));
  });

  it("another protocol version, other evidence, a wrong nonce, a wrong report", async () => {
    const auth = (request: object) => http.json("POST", "/kbs/v0/auth", { "extra-params": "", ...request });
    expect(await auth({ version: "0.1.1", tee: "sample" })).toMatchObject({
      status: 401,
      body: body(
        "AttestationError",
        expect.stringContaining("Version Mismatch: expect =0.4.0 while the request is 0.1.1"),
      ),
    });
    expect((await auth({ version: "0.4.0", tee: "snp" })).status).toBe(401);
    const failed = body("AttestationError", "Attestation error: RCAR handshake Attest failed");
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const start = await auth({ version: "0.4.0", tee: "sample" });
    const cookie = String(start.headers["set-cookie"]?.[0]).split(";")[0] ?? "";
    expect(cookie).toMatch(/^kbs-session-id=[0-9a-f]{32}$/);
    const attest = (message: unknown, headers: object = { cookie }) =>
      http.json("POST", "/kbs/v0/attest", message, { headers: { ...headers } });
    expect(await attest(sampleAttestation("AAAA", privateKey, null))).toMatchObject({ status: 401, body: failed });
    const { nonce } = start.body as { nonce: string };
    const good = sampleAttestation(nonce, privateKey, null);
    const wrong = {
      ...good,
      "tee-evidence": { ...good["tee-evidence"], primary_evidence: sampleEvidenceFor(new Uint8Array(48)) },
    };
    expect(await attest(wrong)).toMatchObject({ status: 401, body: failed });
    expect(await attest(good, {})).toMatchObject({ status: 401, body: failed });
    const badInitdata = sampleAttestation(nonce, privateKey, "not = [toml");
    expect(await attest(badInitdata)).toMatchObject({ status: 401, body: failed });
    const first = await attest(good);
    expect(first.status).toBe(200);
    // An attested session gives its old token again.
    expect((await attest(good)).body).toEqual(first.body);
  });

  it("bad paths, missing values, too large bodies", async () => {
    await expect(admin.putResource("a/b", utf8("x"))).rejects.toMatchObject({ code: "BAD_REQUEST" });
    await expect(admin.putResource("a/b/.c", utf8("x"))).rejects.toMatchObject({ code: "BAD_REQUEST" });
    await expect(admin.putResource("a/b/c", new Uint8Array(2 * 1024 * 1024 + 1))).rejects.toMatchObject({
      code: "BAD_REQUEST",
    });
    await expect(admin.putReferenceValue("a:b", 1)).rejects.toMatchObject({ code: "BAD_REQUEST" });
    expect(await admin.referenceValue("sealflow.grant.unknown")).toBeUndefined();
    expect(await admin.deleteResource("a/b/unknown")).toBe(false);
    expect((await get("reference-value/unknown", await asAdmin())).body).toEqual(
      body("RvpsError", expect.stringContaining("No reference value found for the given id")),
    );
    expect((await get("resource-policy", await asAdmin())).body).toEqual(["resource-policy"]);
  });
});

describe("a KBS that cannot be used", () => {
  it("is told apart: down, not the pinned one", async () => {
    const down = new KbsAdmin({ url: "https://127.0.0.1:1", caPem: server.caPem, token: tokens, timeoutMs: 500 });
    await expect(down.checkAccess()).rejects.toMatchObject({
      code: "DOWN",
      message: expect.stringContaining("sealflow dev"),
    });
    down.close();
    const other = await serveHttps(async () => new Response("[]"));
    const mistaken = new KbsAdmin({ url: other.url, caPem: server.caPem, token: tokens });
    await expect(mistaken.checkAccess()).rejects.toMatchObject({ code: "NOT_TRUSTED" });
    mistaken.close();
    await other.close();
  });
});

describe("state", () => {
  it("is in files that nobody else can read", () => {
    for (const name of ["kbs.db", "kbs.db-wal"]) expect(statSync(join(dir, name)).mode & 0o777).toBe(0o600);
    expect(statSync(dir).mode & 0o777).toBe(0o700);
  });

  it("survives a restart: resources, grants, policies, token key", async () => {
    const guest = await deploy("sf-l", "p1");
    const session = await sampleHandshake(http, guest.initdata);
    kbs.close();
    kbs = createDevKbs({ dir, admin: TEST_ADMIN, now: () => time });
    expect(await read(guest.initdata, guest.resource)).toBe("bundle of p1");
    expect(await code(session.resource(guest.resource))).toBe("ok");
    await expect(admin.canary()).resolves.toBeDefined();
  });

  it("survives kill -9 right after a write was acknowledged", async () => {
    const folder = mkdtempSync(join(tmpdir(), "sealflow-kbs-kill-"));
    const script = `
      const { DatabaseSync } = require("node:sqlite");
      const db = new DatabaseSync(${JSON.stringify(join(folder, "kbs.db"))});
      db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
      const put = db.prepare("INSERT INTO kv VALUES ('repository', ?, ?)");
      let i = 0;
      setInterval(() => { put.run("a/b/" + i, Buffer.from(String(i))); process.stdout.write(i++ + "\\n"); }, 1);`;
    createDevKbs({ dir: folder, admin: TEST_ADMIN }).close();
    const child = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "ignore"] });
    let said = "";
    for await (const chunk of child.stdout) {
      said += chunk;
      if (said.split("\n").length > 20) child.kill("SIGKILL");
    }
    const last = Number(said.trim().split("\n").at(-1));
    const reopened = createDevKbs({ dir: folder, admin: TEST_ADMIN });
    const headers = { authorization: `Bearer ${await mintAdminToken(TEST_ADMIN_KEY, Date.now())}` };
    const del = (n: number) =>
      reopened.handle(new Request(`https://x/kbs/v0/resource/a/b/${n}`, { method: "DELETE", headers }));
    for (let n = 0; n <= last; n++) expect((await del(n)).status).toBe(200);
    reopened.close();
    rmSync(folder, { recursive: true });
  });

  it("policy texts are kept as they were sent, keys of deleted resources are not", async () => {
    await admin.putResource("sf-m/step/gone", utf8("unique-deleted-secret"));
    await admin.deleteResource("sf-m/step/gone");
    kbs.close();
    const bytes = readFileSync(join(dir, "kbs.db"));
    kbs = createDevKbs({ dir, admin: TEST_ADMIN, now: () => time });
    expect(bytes.includes(resourcePolicy().text)).toBe(true);
    expect(bytes.includes(attestationPolicy("development").text.slice(0, 300))).toBe(true);
    expect(bytes.includes("unique-deleted-secret")).toBe(false);
  });
});

const cpu = (claims: Record<string, unknown>) =>
  (claims.submods as Record<string, Record<string, unknown>>).cpu0 as Record<string, unknown>;

/** A handshake by hand. @param device kind of additional sample evidence. */
async function attested(privateKey: Parameters<typeof teePubKeyOf>[0], initdata: string | null, device?: string) {
  const start = await http.json("POST", "/kbs/v0/auth", { version: "0.4.0", tee: "sample", "extra-params": "" });
  const cookie = String(start.headers["set-cookie"]?.[0]).split(";")[0] ?? "";
  const { nonce } = start.body as { nonce: string };
  const key = teePubKeyOf(privateKey);
  const message = sampleAttestation(nonce, privateKey, initdata);
  if (device) {
    const report = sha384(utf8(jcs({ nonce, "tee-pubkey": key })));
    const additional = JSON.stringify({ [device]: sampleEvidenceFor(report) });
    const primary = sampleEvidenceFor(reportData(nonce, key, additional));
    message["tee-evidence"] = { primary_evidence: primary, additional_evidence: additional };
  }
  const answer = await http.json("POST", "/kbs/v0/attest", message, { headers: { cookie } });
  expect(answer.status).toBe(200);
  return { cookie, token: (answer.body as { token: string }).token };
}

it("the initdata of a step, with a real certificate, leaves room in 16 KiB of launch data", () => {
  expect(guestOf("sf-0123456789abcdef", "a".repeat(64)).annotation.length).toBeLessThan(6 * 1024);
});

describe("a token", () => {
  it("has the shape of Trustee's", async () => {
    const guest = await deploy("sf-n", "p1");
    const { claims } = await sampleHandshake(http, guest.initdata);
    expect(Object.keys(claims).sort()).toEqual(["ear.verifier-id", "eat_profile", "exp", "iat", "iss", "submods"]);
    const evidence = cpu(claims)["ear.veraison.annotated-evidence"] as Record<string, unknown>;
    expect(Object.keys(evidence).sort()).toEqual([
      "init_data",
      "init_data_claims",
      "report_data",
      "runtime_data_claims",
      "sample",
    ]);
    expect(evidence.init_data).toBe(createHash("sha256").update(guest.initdata).digest("base64"));
    expect(Object.keys(evidence.init_data_claims as object).sort()).toEqual([
      "aa.toml",
      "agent_policy_claims",
      "cdh.toml",
    ]);
    expect(cpu(claims)[GRANT_CLAIM]).toEqual({ paths: guest.paths.sort(), require: [] });
  });
});

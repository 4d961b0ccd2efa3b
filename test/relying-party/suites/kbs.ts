/** What a key broker must answer. The development one and Trustee are asked the same, so neither drifts from the other. */
import { generateKeyPairSync, randomBytes } from "node:crypto";
import {
  attestationPolicy,
  type GrantValue,
  grantId,
  grantValue,
  identityOf,
  type PolicyMode,
  REVOKED,
  renderInitdata,
  stepGuest,
} from "../../../policy";
import { base64url, utf8 } from "../../../protocol/bytes";
import { kbsJwe, sampleAttestation, sampleEvidenceFor } from "../../../protocol/rcar";
import { parse } from "../../../protocol/shape";
import { HttpsClient } from "../../../relying-party/http/client";
import {
  type AdminKey,
  adminTokens,
  createAdminKey,
  KbsAdmin,
  type KbsError,
  mintAdminToken,
  parseAdminKey,
  sampleHandshake,
} from "../../../relying-party/kbs-client";

export interface KbsTarget {
  readonly url: string;
  readonly caPem: string;
  readonly adminKey: AdminKey;
}

const ERRORS = "https://github.com/confidential-containers/kbs/errors";

/** @param target of a KBS that nobody else uses meanwhile: its policies are changed. */
export function kbsSuite(target: () => KbsTarget): void {
  let admin: KbsAdmin;
  let http: HttpsClient;
  /** Names of this run, so that a store that was used before does not matter. */
  const ns = `sf-${randomBytes(4).toString("hex")}`;
  const adminOf = (token: string | (() => Promise<string>), mode: PolicyMode = "development") =>
    new KbsAdmin({ url: target().url, caPem: target().caPem, token, mode });

  beforeAll(() => {
    admin = adminOf(adminTokens(target().adminKey));
    http = new HttpsClient({ url: target().url, caPem: target().caPem });
  });
  afterAll(() => {
    admin.close();
    http.close();
  });

  const code = (promise: Promise<unknown>): Promise<string> =>
    promise.then(
      () => "ok",
      (error: KbsError) => `${error.code} ${error.kbsType ?? ""}`.trim(),
    );
  const guestOf = (program: string) => {
    const resource = `${ns}/step/${program}`;
    const imageReference = `${ns}.sealflow.local/x@sha256:${"ab".repeat(32)}`;
    const { url: kbsUrl, caPem } = target();
    return { resource, ...stepGuest({ tee: "sample", kbsUrl, caPem, imageReference, resource }) };
  };
  const deploy = async (program: string, value?: unknown) => {
    const guest = guestOf(program);
    const id = grantId("sample", guest.identity);
    await admin.putResource(guest.resource, utf8(`bundle of ${program}`));
    await admin.putGrant(id, value ?? grantValue({ tee: "sample", paths: [guest.resource] }));
    return { ...guest, id };
  };
  const read = async (initdata: string | null, path: string): Promise<string> => {
    const guest = await sampleHandshake(http, initdata);
    return Buffer.from(await guest.resource(path)).toString();
  };
  const DENIED = "DENIED PolicyDeny";

  describe("administrators", () => {
    const claiming = (claims: object): AdminKey => ({
      ...target().adminKey,
      claims: { ...target().adminKey.claims, ...claims },
    });
    const soon = Date.now();

    it("with a fresh token of the key do everything that the provider does", async () => {
      await admin.checkAccess();
      await admin.putPolicies();
      await admin.putResource(`${ns}/a/b`, utf8("x"));
      expect(await admin.deleteResource(`${ns}/a/b`)).toBe(true);
      await admin.putReferenceValue(`${ns}.value`, { a: [1, "b"] });
      expect(await admin.referenceValue(`${ns}.value`)).toEqual({ a: [1, "b"] });
    });

    it.each<[string, () => string | Promise<string>]>([
      ["no token", () => ""],
      ["a static password", () => "another-token-of-16"],
      ["a token of another key", () => mintAdminToken(parseAdminKey(createAdminKey(), "other"), soon)],
      ["a token that has ended", () => mintAdminToken(target().adminKey, soon - 600_000)],
      ["a token of another issuer", () => mintAdminToken(claiming({ issuer: "somebody" }), soon)],
      ["a token for another audience", () => mintAdminToken(claiming({ audience: "another-kbs" }), soon)],
    ])("with %s do nothing, and are told that it is the token", async (_what, token) => {
      const stranger = adminOf(await token());
      const words = { message: expect.stringContaining("must have this admin key's public key") };
      const builtIn = { code: "NOT_ALLOWED", kbsType: "AdminAuthAccess", ...words };
      const plugin = { code: "NOT_ALLOWED", kbsType: "AdminAuthInitialization", ...words };
      await expect(stranger.checkAccess()).rejects.toMatchObject(builtIn);
      await expect(stranger.putPolicies()).rejects.toMatchObject(builtIn);
      await expect(stranger.putGrant("sealflow.grant.x", [])).rejects.toMatchObject(builtIn);
      await expect(stranger.referenceValue("x")).rejects.toMatchObject(builtIn);
      await expect(stranger.putResource(`${ns}/a/b`, utf8("x"))).rejects.toMatchObject(plugin);
      await expect(stranger.deleteResource(`${ns}/a/b`)).rejects.toMatchObject(plugin);
      stranger.close();
    });

    it("with a role that has no rule for the path do nothing, and are told that it is the role", async () => {
      const auditor = adminOf(adminTokens(claiming({ role: "auditor" })));
      const words = /role may not call this .*Role auditor not allowed for path .*Add the path to the role's rule/;
      const told = { code: "NOT_ALLOWED", message: expect.stringMatching(words) };
      await expect(auditor.putGrant("sealflow.grant.x", [])).rejects.toMatchObject(told);
      await expect(auditor.putResource(`${ns}/a/b`, utf8("x"))).rejects.toMatchObject(told);
      auditor.close();
    });
  });

  describe("grants", () => {
    beforeAll(() => admin.putPolicies());

    it("give an identity its own resource and no other's", async () => {
      const [a, b] = [await deploy("p1"), await deploy("p2")];
      expect(await read(a.initdata, a.resource)).toBe("bundle of p1");
      expect(await read(b.initdata, b.resource)).toBe("bundle of p2");
      expect(await code(read(a.initdata, b.resource))).toBe(DENIED);
      expect(await code(read(b.initdata, a.resource))).toBe(DENIED);
      expect(await code(read(a.initdata, `${ns}/step/unknown`))).toBe(DENIED);
    });

    it("of a granted but absent resource: not denied, and told apart", async () => {
      const a = await deploy("p3");
      expect(await admin.deleteResource(a.resource)).toBe(true);
      expect(await admin.deleteResource(a.resource)).toBe(false);
      expect(await code(read(a.initdata, a.resource))).toBe("BAD_REQUEST PluginInternalError");
    });

    it("revoked give new tokens nothing; an issued token goes on until it ends; given again they work again", async () => {
      const a = await deploy("p4");
      const before = await sampleHandshake(http, a.initdata);
      await admin.revokeGrant(a.id);
      expect(await admin.referenceValue(a.id)).toEqual(REVOKED);
      expect(await code(read(a.initdata, a.resource))).toBe(DENIED);
      expect(await code(before.resource(a.resource))).toBe("ok");
      await admin.putGrant(a.id, grantValue({ tee: "sample", paths: [a.resource] }));
      expect(await read(a.initdata, a.resource)).toBe("bundle of p4");
    });

    it("need initdata: a guest without, or with one byte more, gets nothing", async () => {
      const a = await deploy("p5");
      expect(await code(read(null, a.resource))).toBe(DENIED);
      expect(await code(read(`${a.initdata}\n`, a.resource))).toBe(DENIED);
      expect(await code(read(renderInitdata({ algorithm: "sha256", data: { x: "y\n" } }), a.resource))).toBe(DENIED);
    });

    it("of null initdata, should anybody register one, give a guest without initdata nothing", async () => {
      const a = await deploy("p6");
      for (const id of ["sealflow.grant.", "sealflow.grant.null"]) {
        await admin.putReferenceValue(id, grantValue({ tee: "sample", paths: [a.resource] }));
        expect(await code(read(null, a.resource))).toBe(DENIED);
        await admin.putReferenceValue(id, REVOKED);
      }
    });

    it.each<[string, (path: string) => unknown]>([
      ["a bare list", (path) => [path]],
      ["a text", (path) => path],
      ["paths as an object", (path) => ({ tee: "sample", paths: { 0: path } })],
      ["paths as a text", (path) => ({ tee: "sample", paths: path })],
      ["another TEE", (path) => ({ tee: "snp", paths: [path] }) satisfies GrantValue],
      [
        "a device that is not there",
        (path) => ({ tee: "sample", paths: [path], require: ["gpu0"] }) satisfies GrantValue,
      ],
      ["a number", () => 1.5],
    ])("of a wrong form (%s) give nothing, and break no handshake", async (what, value) => {
      const program = `form-${what.replace(/\W/g, "-")}`;
      const a = await deploy(program, value(guestOf(program).resource));
      expect(await code(read(a.initdata, a.resource))).toBe(DENIED);
    });

    it("for the old identity open nothing of the new version", async () => {
      const [old, now] = [await deploy("p7-old"), await deploy("p7-new")];
      expect(await code(read(old.initdata, now.resource))).toBe(DENIED);
      await admin.revokeGrant(old.id);
      expect(await code(read(old.initdata, old.resource))).toBe(DENIED);
      expect(await read(now.initdata, now.resource)).toBe("bundle of p7-new");
    });

    it("registered at once are all there", async () => {
      const guests = Array.from({ length: 20 }, (_, i) => guestOf(`many-${i}`));
      await Promise.all(
        guests.map((g) =>
          admin.putGrant(grantId("sample", g.identity), grantValue({ tee: "sample", paths: [g.resource] })),
        ),
      );
      for (const g of guests) {
        expect(await admin.referenceValue(grantId("sample", g.identity))).toEqual({
          tee: "sample",
          paths: [g.resource],
        });
      }
      expect(identityOf("sample", guests[0]?.initdata ?? "", "sha256")).toBe(guests[0]?.identity);
    });
  });

  describe("policies", () => {
    const post = async (path: string, body: unknown) =>
      http.json("POST", `/kbs/v0/${path}`, body, {
        headers: { authorization: `Bearer ${await mintAdminToken(target().adminKey, Date.now())}` },
      });
    const broken = base64url(utf8("package policy\nimport rego.v1\ndefault allow := \n"));

    it("that do not parse are refused, and the ones before stay", async () => {
      await admin.putPolicies();
      expect(await post("resource-policy", { policy: broken })).toMatchObject({ status: 401 });
      expect(await post("attestation-policy", { policy_id: "default_cpu", policy: broken })).toMatchObject({
        status: 401,
        body: { type: `${ERRORS}/AttestationError`, detail: expect.stringContaining("Set Attestation Policy failed") },
      });
      await expect(admin.canary()).resolves.toMatchObject({ mode: "development" });
    });

    it("for production believe no simulated guest; the canary tells which of the two is there", async () => {
      const a = await deploy("p8");
      const production = adminOf(adminTokens(target().adminKey), "production");
      await expect(production.canary()).rejects.toMatchObject({ code: "POLICIES" });
      await production.putPolicies();
      expect(await code(read(a.initdata, a.resource))).toBe(DENIED);
      await expect(production.canary()).resolves.toMatchObject({
        mode: "production",
        checks: expect.arrayContaining(["guest without initdata refused"]),
      });
      await expect(admin.canary()).rejects.toMatchObject({ code: "POLICIES" });
      await expect(admin.canary("any")).resolves.toMatchObject({ mode: "production" });
      production.close();
      await admin.putPolicies();
      expect(await read(a.initdata, a.resource)).toBe("bundle of p8");
    });

    it("cannot be read back, only that one is there", async () => {
      const headers = { authorization: `Bearer ${await mintAdminToken(target().adminKey, Date.now())}` };
      expect(await http.json("GET", "/kbs/v0/resource-policy", undefined, { headers })).toMatchObject({
        status: 200,
        body: ["resource-policy"],
      });
      expect(await http.json("GET", "/kbs/v0/attestation-policy", undefined, { headers })).toMatchObject({
        status: 404,
        body: { type: `${ERRORS}/PluginNotFound` },
      });
      expect(attestationPolicy("production").text).not.toBe(attestationPolicy("development").text);
    });

    it("pass the canary: with a grant its resource, without initdata no key", async () => {
      const { mode, checks } = await admin.canary();
      expect(mode).toBe("development");
      expect(checks).toContain("guest without initdata refused");
    });
  });

  describe("requests that are wrong", () => {
    const get = (path: string, headers = {}) => http.json("GET", `/kbs/v0/${path}`, undefined, { headers });

    it("a guest without a token, or with one that nobody signed", async () => {
      const body = (type: string) => ({ status: 401, body: { type: `${ERRORS}/${type}` } });
      expect(await get(`resource/${ns}/a/b`)).toMatchObject(body("TokenNotFound"));
      expect(await get(`resource/${ns}/a/b`, { authorization: "Bearer a.b.c" })).toMatchObject(
        body("TokenVerifierError"),
      );
    });

    it("another protocol version, and evidence that does not bind the key", async () => {
      const auth = (body: unknown) => http.json("POST", "/kbs/v0/auth", body);
      expect(await auth({ version: "0.1.1", tee: "sample", "extra-params": "" })).toMatchObject({
        status: 401,
        body: { type: `${ERRORS}/AttestationError`, detail: expect.stringContaining("Version Mismatch") },
      });
      const start = await auth({ version: "0.4.0", tee: "sample", "extra-params": "" });
      const cookie = String(start.headers["set-cookie"]?.[0]).split(";")[0] ?? "";
      const { nonce } = start.body as { nonce: string };
      const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
      const good = sampleAttestation(nonce, privateKey, null);
      const evidence = { ...good["tee-evidence"], primary_evidence: sampleEvidenceFor(new Uint8Array(48)) };
      const failed = { status: 401, body: { type: `${ERRORS}/AttestationError` } };
      const attest = (message: unknown) => http.json("POST", "/kbs/v0/attest", message, { headers: { cookie } });
      expect(await attest({ ...good, "tee-evidence": evidence })).toMatchObject(failed);
      expect((await attest(good)).status).toBe(200);
    });

    it("paths, values and bodies that no key broker takes", async () => {
      await expect(admin.putResource("a/b", utf8("x"))).rejects.toMatchObject({ code: "BAD_REQUEST" });
      await expect(admin.putReferenceValue(`${ns}:value`, 1)).rejects.toMatchObject({ code: "BAD_REQUEST" });
      await expect(admin.putResource(`${ns}/a/large`, new Uint8Array(2 * 1024 * 1024 + 1))).rejects.toMatchObject({
        code: "BAD_REQUEST",
        message: expect.stringContaining("larger than the KBS takes"),
      });
      expect(await admin.referenceValue(`${ns}.unknown`)).toBeUndefined();
    });
  });

  it("a released resource is a JWE to the guest's own key", async () => {
    await admin.putPolicies();
    const a = await deploy("p9");
    const { token } = await sampleHandshake(http, a.initdata);
    const answer = await http.json("GET", `/kbs/v0/resource/${a.resource}`, undefined, {
      headers: { authorization: `Bearer ${token}` },
    });
    expect(answer.status).toBe(200);
    const { ciphertext } = parse(kbsJwe, answer.body, "answer");
    expect(Buffer.from(ciphertext, "base64url").toString()).not.toContain("bundle");
  });
}

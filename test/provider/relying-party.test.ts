/** How resources find a relying party, prove that they are its administrator, and say what is wrong. */

import { randomBytes } from "node:crypto";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import type { RelyingPartyReference } from "../../protocol/connection";
import { adminKeyFile } from "../../provider/admin-key";
import { withRelyingParty } from "../../provider/relying-party";
import { kbsAdminKey } from "../../provider/resources/kbs-admin-key";
import { kbsResource } from "../../provider/resources/kbs-resource";
import { pipelineVersion } from "../../provider/resources/pipeline-version";
import { stepIdentity } from "../../provider/resources/step-identity";
import type { Context } from "../../provider/server/context";
import { check } from "../../provider/server/operations";
import { UNKNOWN, type Values } from "../../provider/server/values";
import { type Dev, startDev } from "../../relying-party/dev";
import { createAdminKey, parseAdminKey } from "../../relying-party/kbs-client";

let elsewhere: string;
let home: string;
let dev: Dev;
let reference: RelyingPartyReference;
let env: Record<string, string>;

/** A relying party that guests reach by other URLs than this machine: it takes routes. */
beforeAll(async () => {
  elsewhere = mkdtempSync(path.join(tmpdir(), "sealflow-elsewhere-"));
  dev = await startDev({ home: elsewhere, log: () => undefined });
  const { caPem, ledgerKey, kbsUrl, ledgerUrl } = dev.connection;
  reference = { caPem, ledgerKey, kbsUrl: "https://127.0.0.1:1", ledgerUrl: "https://127.0.0.1:2" };
  const to = (url: string) => new URL(url).host;
  env = { SEALFLOW_ROUTES: `https://127.0.0.1:1=${to(kbsUrl)},https://127.0.0.1:2=${to(ledgerUrl)}` };
});
afterAll(async () => {
  await dev.close();
  rmSync(elsewhere, { recursive: true });
});
beforeEach(() => {
  home = mkdtempSync(path.join(tmpdir(), "sealflow-home-"));
});
afterEach(() => rmSync(home, { recursive: true }));

const said: string[] = [];
const log = { status: () => undefined, info: (m: string) => said.push(m), warn: (m: string) => said.push(m) };
const contextOf = (more: Record<string, string> = {}): Context => ({
  root: home,
  home,
  env: { ...env, ...more },
  log,
  signal: new AbortController().signal,
  now: () => new Date(),
});
const devKey = () => path.join(elsewhere, "dev", "admin-key.jwk");
const put = (context: Context) =>
  kbsResource.create(context, { path: "a/b/c", content: "secret", relyingParty: reference });

describe("the admin key of a referenced relying party", () => {
  it("comes from the file that the environment names", async () => {
    const made = await put(contextOf({ SEALFLOW_KBS_ADMIN_KEY_FILE: devKey() }));
    expect(made).toEqual({ id: "a/b/c", outputs: { path: "a/b/c" } });
  });

  it("is sent to the key broker that it names and to no other, which could use its token there", async () => {
    const file = path.join(home, "named.jwk");
    const named = (kbsUrl: string) => {
      writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(devKey(), "utf8")), kbsUrl }), { mode: 0o600 });
      return contextOf({ SEALFLOW_KBS_ADMIN_KEY_FILE: file });
    };
    await expect(put(named(`${reference.kbsUrl}/`))).resolves.toBeDefined();
    const message = expect.stringContaining(`${reference.kbsUrl} gets no token`);
    await expect(put(named("https://kbs.example"))).rejects.toMatchObject({ code: "ADMIN_KEY", message });
    await expect(put(named("kbs"))).rejects.toMatchObject({ code: "ADMIN_KEY" });
  });

  it("or from its place in .sealflow, by address and CA", async () => {
    const context = contextOf();
    const file = adminKeyFile(context, reference);
    mkdirSync(path.dirname(file));
    copyFileSync(devKey(), file);
    chmodSync(file, 0o600);
    await expect(put(context)).resolves.toBeDefined();
    chmodSync(file, 0o640);
    await expect(put(context)).rejects.toMatchObject({
      code: "ADMIN_KEY",
      message: expect.stringContaining("chmod 600"),
    });
  });

  it("that is missing, is told with the place where it is looked for", async () => {
    const message = expect.stringMatching(/admin-keys\/127\.0\.0\.1-1-.*\.jwk.*SEALFLOW_KBS_ADMIN_KEY_FILE/);
    await expect(put(contextOf())).rejects.toMatchObject({ code: "ADMIN_KEY", message });
  });

  it("of another key broker is refused by this one", async () => {
    const context = contextOf();
    await kbsAdminKey.create(context, reference);
    await expect(put(context)).rejects.toMatchObject({ code: "NOT_ALLOWED" });
  });
});

describe("errors of a relying party", () => {
  it("that does not answer name the route, and SEALFLOW_ROUTES", async () => {
    const context = contextOf({ SEALFLOW_ROUTES: "https://127.0.0.1:1=127.0.0.1:1" });
    const call = withRelyingParty(
      { ...context, env: { ...context.env, SEALFLOW_KBS_ADMIN_KEY_FILE: devKey() } },
      { relyingParty: reference },
      ({ kbs }) => kbs.checkAccess(),
    );
    const message = expect.stringMatching(/by the route to 127\.0\.0\.1:1.*SEALFLOW_ROUTES/);
    await expect(call).rejects.toMatchObject({ code: "RELYING_PARTY_UNREACHABLE", message });
  });

  it("a reference with a hole in it", async () => {
    const { ledgerKey: _, ...hole } = reference;
    const call = kbsResource.create(contextOf(), { path: "a/b/c", content: "x", relyingParty: hole as never });
    await expect(call).rejects.toMatchObject({ code: "INPUT", message: expect.stringContaining("ledgerKey") });
  });
});

describe("KbsAdminKey", () => {
  const inputs = () => ({ kbsUrl: reference.kbsUrl, caPem: reference.caPem });

  it("makes a private key for this user only, once, and gives out its public half", async () => {
    const context = contextOf();
    const { id, outputs } = await kbsAdminKey.create(context, inputs());
    const file = adminKeyFile(context, reference);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const { d } = JSON.parse(readFileSync(file, "utf8"));
    expect(JSON.stringify({ id, outputs })).not.toContain(d);
    expect(outputs.publicKeyPem).toContain("BEGIN PUBLIC KEY");
    expect((await kbsAdminKey.create(context, inputs())).outputs).toEqual(outputs);
  });

  it("moves with the key broker's address, and goes when it is deleted", async () => {
    const context = contextOf();
    const made = await kbsAdminKey.create(context, inputs());
    const moved = { ...inputs(), kbsUrl: "https://kbs.example:8080" };
    await kbsAdminKey.update?.(context, { ...made, inputs: inputs() }, moved);
    const file = adminKeyFile(context, moved);
    expect(await kbsAdminKey.read?.(context, { ...made, inputs: moved })).toEqual(made.outputs);
    await kbsAdminKey.delete(context, { ...made, inputs: moved });
    expect(existsSync(file)).toBe(false);
    // A machine without the file has nothing to say about it.
    expect(await kbsAdminKey.read?.(context, { ...made, inputs: moved })).toEqual(made.outputs);
  });
});

describe("Check", () => {
  const digestOf = async (relyingParty: unknown): Promise<unknown> => {
    const news = { keys: {}, steps: {}, ...(relyingParty === undefined ? {} : { relyingParty }) } as Values;
    return (await check("urn", pipelineVersion, contextOf(), news, {})).inputs.relyingPartyDigest;
  };

  it("a relying party that the same update makes is unknown in the preview, not missing", async () => {
    expect(await digestOf({ ...reference, caPem: UNKNOWN })).toBe(UNKNOWN);
  });

  it("another key broker, CA, ledger or key is another digest; a route is not", async () => {
    const before = await digestOf(reference);
    expect(before).toMatch(/^[0-9a-f]{64}$/);
    const other = parseAdminKey(createAdminKey(), "test");
    for (const change of [
      { kbsUrl: "https://other:1" },
      { ledgerUrl: "https://other:2" },
      { caPem: reference.caPem.repeat(2) },
      { ledgerKey: other.key.export({ format: "jwk" }).x },
    ]) {
      expect(await digestOf({ ...reference, ...change })).not.toBe(before);
    }
    env = { ...env, SEALFLOW_ROUTES: `${env.SEALFLOW_ROUTES},https://x=y:1` };
    expect(await digestOf(reference)).toBe(before);
  });

  it("without a reference and without a relying party on this machine says what to start", async () => {
    await expect(digestOf(undefined)).rejects.toMatchObject({ code: "RELYING_PARTY_UNKNOWN" });
  });
});

describe("a step's guest is checked before anything is done", () => {
  const step = (more: object): Values => ({
    keys: { fingerprint: "ab".repeat(32) },
    step: "train",
    command: ["node", "main.js"],
    inputs: {},
    outputs: {},
    limits: { timeoutSeconds: 60, waitSeconds: 60, retryLimit: 1, shards: 1 },
    image: UNKNOWN,
    tee: "az-snp-vtpm",
    relyingParty: { ...reference },
    ...more,
  });
  const failures = async (more: object) =>
    (await check("urn", stepIdentity, contextOf(), step(more), {})).failures.map(({ reason }) => reason);

  it("initdata that its carrier would cut is refused with the sizes of its parts", async () => {
    expect(await failures({})).toEqual([]);
    // Random bytes do not compress: a bundle of CAs as a careless program would pass it.
    const body = randomBytes(12_000).toString("base64").replace(/.{64}/g, "$&\n");
    const caPem = `-----BEGIN CERTIFICATE-----\n${body}\n-----END CERTIFICATE-----\n`;
    const large = { relyingParty: { ...reference, caPem } };
    expect(await failures({ ...large, guest: { initdataCarrier: "azure" } })).toEqual([]);
    expect(await failures({ ...large, guest: { initdataCarrier: "ec2" } })).toEqual([
      expect.stringMatching(/EC2 user data \(16 KiB\) takes 12288.*cdh\.toml \d+ B.*CA bundle of the KBS/),
    ]);
  });

  it.each([
    ["logs and exec on hardware", { debugGuests: "looking into it" }, /logs and exec would open guests of az-snp-vtpm/],
    ["a carrier that does not exist", { initdataCarrier: "pigeon" }, /expected one of kubernetes, azure, ec2/],
    ["a proxy with a password", { images: { proxy: { https: "http://u:p@proxy:1" } } }, /initdata is public/],
    ["something to read that is no URI", { reads: ["a/b/c"] }, /a\/b\/c: expected kbs:\/\/\/repository\/type\/tag/],
  ])("%s", async (_what, guest, message) => {
    expect(await failures({ guest })).toEqual([expect.stringMatching(message)]);
  });

  it("nothing is guessed while the relying party or the settings are not known", async () => {
    expect(await failures({ relyingParty: UNKNOWN, guest: { debugGuests: "looking into it" } })).toEqual([]);
    expect(await failures({ guest: { reads: [UNKNOWN] } })).toEqual([]);
  });
});

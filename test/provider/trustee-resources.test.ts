/** KbsPolicy, KbsReferenceValue, ReferenceValues and KbsResource against a real key broker, as the engine calls them. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { writePrivateFile } from "../../owner/keys";
import { measurePodShapes, NO_VALUES } from "../../policy";
import { adminKeyFile } from "../../provider/admin-key";
import { kbsPolicy } from "../../provider/resources/kbs-policy";
import { kbsReferenceValue } from "../../provider/resources/kbs-reference-value";
import { kbsResource } from "../../provider/resources/kbs-resource";
import { referenceValuesResource } from "../../provider/resources/reference-values";
import type { Context } from "../../provider/server/context";
import type { AnyDefinition } from "../../provider/server/definition";
import * as operations from "../../provider/server/operations";
import type { Values } from "../../provider/server/values";
import { type Dev, startDev } from "../../relying-party/dev";
import { createDevKbs } from "../../relying-party/dev-kbs";
import { KbsAdmin } from "../../relying-party/kbs-client";
import { firmware } from "../policy/reference-values/firmware";
import { devAdminTokens, TEST_ADMIN, TEST_ADMIN_KEY } from "../support/admin-key";
import { serveHttps } from "../support/https";

let home: string;
let dev: Dev;
let kbs: KbsAdmin;
let said: string[] = [];

beforeAll(async () => {
  home = mkdtempSync(path.join(tmpdir(), "sealflow-trustee-resources-"));
  dev = await startDev({ home, log: () => undefined });
  kbs = new KbsAdmin({ ...dev.connection, url: dev.connection.kbsUrl, token: devAdminTokens(home) });
});
afterAll(async () => {
  kbs.close();
  await dev.close();
  rmSync(home, { recursive: true });
});
beforeEach(() => {
  said = [];
});

const log = {
  status: (m: string) => said.push(m),
  info: (m: string) => said.push(m),
  warn: (m: string) => said.push(m),
};
const context = (): Context => ({
  root: home,
  home,
  env: {},
  log,
  signal: new AbortController().signal,
  now: () => new Date(),
});

/** What the engine does with one resource over its life. */
let lives = 0;
function life(definition: AnyDefinition) {
  const state = { id: "", inputs: {} as Values, outputs: {} as Values };
  const urn = `urn::${definition.name}-${++lives}`;
  const checked = async (news: Values) => {
    const { inputs, failures } = await operations.check(urn, definition, context(), news, state.inputs);
    if (failures.length > 0)
      throw new Error(failures.map(({ property, reason }) => `${property}: ${reason}`).join("\n"));
    return inputs;
  };
  return {
    state,
    preview: async (news: Values) => operations.diff(definition, state, await checked(news), []),
    async create(news: Values) {
      state.inputs = await checked(news);
      Object.assign(state, await operations.create(definition, context(), state.inputs, false));
    },
    async update(news: Values) {
      const inputs = await checked(news);
      state.outputs = await operations.update(definition, context(), state, inputs, false);
      state.inputs = inputs;
    },
    /** @returns whether it is still there. */
    async refresh() {
      const found = await operations.read(definition, context(), state);
      if (found) state.outputs = found;
      return found !== undefined;
    },
    remove: () => operations.remove(definition, context(), state),
  };
}

const TCB = { bootloader: 4, tee: 0, snp: 20, microcode: 200 };
const measurement = (n: number) => n.toString(16).padStart(2, "0").repeat(48);

describe("ReferenceValues", () => {
  const snp = (more: object = {}): Values => ({
    tee: "snp",
    source: "release 1",
    defaultPolicy: "deny",
    measurements: [measurement(1), measurement(2)],
    minimumTcb: TCB,
    ...more,
  });

  it("registers the set; a preview names each value that comes or goes; destroy lets nobody in any more", async () => {
    const set = life(referenceValuesResource);
    await set.create(snp());
    expect(await kbs.referenceValue("sealflow.snp.measurement")).toEqual([measurement(1), measurement(2)]);
    expect(await kbs.referenceValue("sealflow.snp.minimum_tcb")).toEqual(TCB);
    expect(await set.preview(snp({ measurements: [measurement(2), measurement(1)] }))).toEqual([]);
    const next = snp({ measurements: [measurement(2), measurement(3)], minimumTcb: { ...TCB, snp: 21 } });
    const list = (n: number) => `registered["sealflow.snp.measurement"][${JSON.stringify(measurement(n))}]`;
    expect(await set.preview(next)).toEqual(
      expect.arrayContaining([
        { path: list(1), kind: "delete", replace: false },
        { path: list(3), kind: "add", replace: false },
        { path: 'registered["sealflow.snp.minimum_tcb"].snp', kind: "update", replace: false },
      ]),
    );
    expect(await set.preview(next)).toHaveLength(3);
    await set.update(next);
    expect(await kbs.referenceValue("sealflow.snp.measurement")).toEqual([measurement(2), measurement(3)]);
    await set.remove();
    expect(await kbs.referenceValue("sealflow.snp.measurement")).toEqual(NO_VALUES);
    expect(await kbs.referenceValue("sealflow.snp.minimum_tcb")).toEqual(NO_VALUES);
  });

  it("that somebody else widened are found by a refresh and set right", async () => {
    const set = life(referenceValuesResource);
    await set.create(snp());
    expect(await set.refresh()).toBe(true);
    expect(await set.preview(snp())).toEqual([]);
    await kbs.putReferenceValue("sealflow.snp.measurement", [measurement(1), measurement(2), measurement(9)]);
    expect(await set.refresh()).toBe(true);
    expect(await set.preview(snp())).toEqual([{ path: "digest", kind: "update", replace: false }]);
    await set.update(snp());
    expect(await kbs.referenceValue("sealflow.snp.measurement")).toEqual([measurement(1), measurement(2)]);
    await set.remove();
  });

  it("computes SEV-SNP measurements from files, one for each pod shape, and says whose they are", async () => {
    mkdirSync(path.join(home, "kata"), { recursive: true });
    const files = { firmware: firmware(), kernel: Buffer.from("kernel"), commandLine: "console=hvc0" };
    writeFileSync(path.join(home, "kata/ovmf.fd"), files.firmware);
    writeFileSync(path.join(home, "kata/vmlinuz"), files.kernel);
    const shapes = { small: "500m", twin: 1, large: 4 };
    const { commandLine } = files;
    const launch = { firmware: "kata/ovmf.fd", kernel: "kata/vmlinuz", commandLine, cpu: "EPYC-v4", shapes };
    const news = { ...snp({ launch }), measurements: undefined as never };
    const set = life(referenceValuesResource);
    await set.create(news);
    const wanted = measurePodShapes(
      { firmware: files.firmware, cpu: "EPYC-v4", boot: { kernel: files.kernel, commandLine } },
      Object.entries(shapes).map(([step, cpu]) => ({ step, cpu })),
    );
    expect(wanted).toHaveLength(2);
    expect(await kbs.referenceValue("sealflow.snp.measurement")).toEqual(wanted.map((w) => w.measurement).sort());
    const labels = Object.fromEntries(wanted.map((w) => [w.measurement, `${w.vcpus} vCPUs: ${w.steps.join(", ")}`]));
    expect(set.state.inputs.registered).toMatchObject({ "sealflow.snp.measurement": labels });
    // Another machine without the files: nothing changes.
    rmSync(path.join(home, "kata"), { recursive: true });
    expect(await set.preview(news)).toEqual([]);
    expect(said).toContainEqual(expect.stringContaining("kata/ovmf.fd is not on this machine"));
    await set.remove();
  });

  it("takes PCR 11 from published sets", async () => {
    const pcr11 = `0x${"5a".repeat(32)}`;
    writeFileSync(path.join(home, "measurements.json"), JSON.stringify({ measurements: { sha256: { pcr11 } } }));
    const set = life(referenceValuesResource);
    await set.create({
      tee: "az-tdx-vtpm",
      source: "gallery image 0.23",
      defaultPolicy: "stock",
      acknowledgeStockGuestImage: "the denying image is being built",
      mrTd: [measurement(7)],
      xfam: ["e700060000000000"],
      published: ["measurements.json"],
    });
    expect(await kbs.referenceValue("sealflow.az-tdx-vtpm.pcr11")).toEqual([pcr11.slice(2)]);
    expect(said).toContainEqual(expect.stringContaining("the denying image is being built"));
    await set.remove();
  });

  it.each([
    ["a stock image without a reason", { defaultPolicy: "stock" }, /defaultPolicy: guest image of snp: marked "stock"/],
    ["values of another TEE", { pcr11: ["5a".repeat(32)] }, /pcr11 belongs to another TEE/],
    ["a missing part", { minimumTcb: undefined }, /minimumTcb is missing/],
    ["a measurement that is no hex", { measurements: ["ABC"] }, /is not 48 bytes of lower-case hex/],
    ["simulated guests", { tee: "sample" }, /tee: expected "snp"/],
    ["a file that is not there", { launch: { firmware: "none", cpu: "EPYC-v4", shapes: { a: 1 } } }, /none/],
  ])("refuses %s in the preview", async (_what, more, message) => {
    await expect(life(referenceValuesResource).preview(snp(more))).rejects.toThrow(message);
  });
});

describe("KbsReferenceValue", () => {
  it("is put, kept, found when it was changed or is gone, and emptied", async () => {
    const value = life(kbsReferenceValue);
    await value.create({ valueId: "team/model", value: ["a", "b"] });
    expect(await value.refresh()).toBe(true);
    expect(await value.preview({ valueId: "team/model", value: ["a", "b"] })).toEqual([]);
    await kbs.putReferenceValue("team/model", ["c"]);
    await value.refresh();
    expect(await value.preview({ valueId: "team/model", value: ["a", "b"] })).toEqual([
      { path: "digest", kind: "update", replace: false },
    ]);
    await value.update({ valueId: "team/model", value: { min: 3 } });
    expect(await kbs.referenceValue("team/model")).toEqual({ min: 3 });
    await value.remove();
    expect(await kbs.referenceValue("team/model")).toEqual([]);
  });

  it.each(["sealflow.grant.x", "sealflow.snp.measurement"])(
    "never is %s: others make those, with checks",
    async (id) => {
      await expect(life(kbsReferenceValue).preview({ valueId: id, value: [] })).rejects.toThrow("Take another id");
    },
  );
});

describe("KbsPolicy", () => {
  const accepted = { acceptSimulatedGuests: "this is a test" };

  it("installs a shipped text; a refresh tries it by a simulated guest, and an up sets right what it found", async () => {
    const policy = life(kbsPolicy);
    const development = { policy: "attestation-cpu", ...accepted };
    await policy.create(development);
    expect(said).toContainEqual(expect.stringContaining("believes simulated guests: this is a test"));
    expect(await policy.refresh()).toBe(true);
    expect(await policy.preview(development)).toEqual([]);
    // Somebody installs another: the canary sees what the token says.
    const other = new KbsAdmin({
      ...dev.connection,
      url: dev.connection.kbsUrl,
      token: devAdminTokens(home),
      mode: "production",
    });
    await other.putPolicy("attestation-cpu");
    other.close();
    await policy.refresh();
    expect(await policy.preview(development)).toEqual([{ path: "sha256", kind: "update", replace: false }]);
    await policy.update(development);
    await expect(kbs.canary()).resolves.toBeDefined();
    // A text can only be replaced, so destroy says that it stays.
    await policy.remove();
    expect(said).toContainEqual(expect.stringContaining("Trustee cannot delete policies"));
  });

  it("for production believes no simulated guest, and changing that is an update with the text's digest", async () => {
    const policy = life(kbsPolicy);
    await policy.create({ policy: "attestation-cpu" });
    await expect(kbs.canary()).rejects.toMatchObject({ code: "POLICIES" });
    expect((await policy.preview({ policy: "attestation-cpu", ...accepted })).map(({ path: at }) => at)).toEqual([
      "acceptSimulatedGuests",
      "text",
    ]);
    await policy.update({ policy: "attestation-cpu", ...accepted });
    await expect(kbs.canary()).resolves.toBeDefined();
  });

  it("refuses other texts, and the waiver where it says nothing", async () => {
    await expect(life(kbsPolicy).preview({ policy: "mine" })).rejects.toThrow(/policy: expected "attestation-cpu"/);
    await expect(life(kbsPolicy).preview({ policy: "resource", ...accepted })).rejects.toThrow(
      /only policy "attestation-cpu"/,
    );
  });
});

describe("KbsResource", () => {
  it("is not put into a key broker with other policies, which might hand it to anybody", async () => {
    const dir = mkdtempSync(path.join(tmpdir(), "sealflow-foreign-"));
    const foreign = createDevKbs({ dir, admin: TEST_ADMIN });
    let posts = 0;
    const server = await serveHttps((request) => {
      if (request.method === "POST" && request.url.includes("/resource/team/")) posts++;
      return foreign.handle(request);
    });
    const { caPem, url: kbsUrl } = server;
    const relyingParty = { kbsUrl, caPem, ledgerUrl: "https://l.example", ledgerKey: dev.connection.ledgerKey };
    const file = adminKeyFile(context(), relyingParty);
    writePrivateFile(file, JSON.stringify(TEST_ADMIN_KEY.key.export({ format: "jwk" })));
    const put = life(kbsResource).create({ path: "team/token/api", content: "secret", relyingParty });
    await expect(put).rejects.toMatchObject({
      code: "POLICIES",
      message: expect.stringMatching(/no key is put there.*a KbsPolicy for each of/),
    });
    expect(posts).toBe(0);
    await server.close();
    foreign.close();
    rmSync(dir, { recursive: true });
  });

  it("on another key broker is made anew there, after the old one is gone", async () => {
    const resource = life(kbsResource);
    await resource.create({ path: "team/token/api", content: "secret" });
    const relyingParty = {
      kbsUrl: "https://kbs.example:8080",
      ledgerUrl: "https://l.example",
      caPem: dev.connection.caPem,
      ledgerKey: dev.connection.ledgerKey,
    };
    expect(await resource.preview({ path: "team/token/api", content: "secret", relyingParty })).toEqual([
      { path: "broker", kind: "update", replace: true },
    ]);
    expect(kbsResource.deleteFirst).toBe(true);
    expect(JSON.stringify(resource.state.inputs)).not.toContain(new URL(dev.connection.kbsUrl).port);
    await resource.remove();
    expect(await kbs.deleteResource("team/token/api")).toBe(false);
    await expect(resource.remove()).resolves.toBeUndefined(); // not found is success
  });
});

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { grantId, grantValue } from "../../policy";
import { loadCompiled } from "../../policy/wasm";
import type { Tee } from "../../protocol/rcar";

const load = (folder: string, name: string) =>
  JSON.parse(readFileSync(join(__dirname, "../vectors", folder, `${name}.json`), "utf8"));

type Json = Record<string, never>;
interface Outcome {
  status: string;
  grant: { paths: string[]; require: string[] };
}

const PATHS = ["default/keys/model"];
const HARDWARE = ["snp", "tdx", "az-snp-vtpm", "az-tdx-vtpm"] as const;

/** Reference values that admit the vector of each TEE. */
const REFERENCES: Record<string, unknown> = {};
for (const tee of HARDWARE) {
  const claims = load("claims", tee)[tee];
  const put = (name: string, value: unknown) => {
    REFERENCES[`sealflow.${tee}.${name}`] = value;
  };
  if (tee.includes("snp")) {
    put("measurement", [claims.measurement]);
    put("minimum_tcb", { bootloader: 4, microcode: 25, snp: 23, tee: 0 });
  } else {
    const { mr_td, rtmr_1, rtmr_2, xfam } = claims.quote.body;
    put("mr_td", [mr_td]);
    put("rtmr_1", [rtmr_1]);
    put("rtmr_2", [rtmr_2]);
    put("xfam", [xfam]);
  }
  if (claims.tpm) put("pcr11", [claims.tpm.pcr11]);
}

const idOf = (claims: { init_data: string }, tee: Tee): string =>
  grantId(tee, tee === "sample" ? Buffer.from(claims.init_data, "base64").toString("hex") : claims.init_data);

function appraise(
  policy: "attestation-cpu-production" | "attestation-cpu-development",
  claims: unknown,
  references: Record<string, unknown>,
): Outcome {
  const compiled = loadCompiled(policy, (id) => references[id] ?? null);
  const vector = compiled.evaluate("policy/trust_claims", claims) as Record<string, number>;
  const extensions = compiled.evaluate("policy/extensions", claims) as { name: string; value: Outcome["grant"] }[];
  const worst = Math.max(...Object.values(vector));
  expect(extensions).toHaveLength(1);
  expect(extensions[0]?.name).toBe("ear.sealflow.grant");
  return {
    status: worst >= 96 ? "contraindicated" : worst >= 32 ? "warning" : "affirming",
    grant: extensions[0]?.value as Outcome["grant"],
  };
}

const grantedBy = (tee: Tee, change: object = {}) => {
  const claims = load("claims", tee);
  return { ...REFERENCES, [idOf(claims, tee)]: { ...grantValue({ tee, paths: PATHS }), ...change } };
};
const NOTHING = { paths: [], require: [] };

describe.each(HARDWARE)("production policy: %s", (tee) => {
  const change = (edit: (claims: Json & Record<string, Json>) => void) => {
    const claims = load("claims", tee);
    edit(claims);
    return appraise("attestation-cpu-production", claims, grantedBy(tee));
  };

  it("the vector with its reference values is affirming and gets its grant", () => {
    expect(change(() => {})).toEqual({ status: "affirming", grant: { paths: PATHS, require: [] } });
  });

  it("without reference values it is not affirming", () => {
    const claims = load("claims", tee);
    expect(appraise("attestation-cpu-production", claims, {})).toEqual({ status: "contraindicated", grant: NOTHING });
  });

  it.each([
    ["a list as text", "x"],
    ["an object", { a: 1 }],
    ["null", null],
    ["an empty list", []],
  ])("with a measurement reference that is %s it is not affirming", (_what, value) => {
    const name = tee.includes("snp") ? "measurement" : "mr_td";
    const references = { ...grantedBy(tee), [`sealflow.${tee}.${name}`]: value };
    expect(appraise("attestation-cpu-production", load("claims", tee), references).status).not.toBe("affirming");
  });

  it("with debugging on it is not affirming", () => {
    const { status } = change((c) => {
      const claims = (c as Record<string, unknown>)[tee] as Record<string, unknown>;
      if (tee === "snp") claims.policy_debug_allowed = true;
      else if (tee === "az-snp-vtpm") claims.policy_debug_allowed = "true";
      else (claims.td_attributes as Record<string, unknown>).debug = true;
    });
    expect(status).not.toBe("affirming");
  });

  if (tee.includes("tdx")) {
    const withAttributes = (attributes: string | null): string => {
      const claims = load("claims", tee);
      claims[tee].quote.body.td_attributes = attributes;
      return appraise("attestation-cpu-production", claims, grantedBy(tee)).status;
    };
    // Little endian. Trustee's own claims name six bits of these 64; whether the TD may be migrated is none of them.
    it.each([
      ["debugged", "0100001000000000"],
      ["profiled", "0200001000000000"],
      ["migrated by a TD of the host's", "0000002000000000"],
      ["migrated, without virtualization exceptions", "0000003000000000"],
      ["a provisioning agent", "0000001000000040"],
      ["what nobody knows yet", "0000801000000000"],
      ["nothing that is said", null],
      ["more than attributes", "00000010000000000"],
      ["attributes and a line more", "0000001000000000\n"],
    ])("a TD that may be %s is not affirming", (_what, attributes) => {
      expect(withAttributes(attributes)).not.toBe("affirming");
    });

    it.each(["0000000000000000", "0000001000000000", "0000005000000000", "000000d800000080"])(
      "attributes that give the host nothing are taken: %s",
      (attributes) => expect(withAttributes(attributes)).toBe("affirming"),
    );
  }

  it("with a TCB below the minimum, or out of date, it is not affirming", () => {
    const { status } = change((c) => {
      const claims = (c as Record<string, unknown>)[tee] as Record<string, unknown>;
      if (tee === "snp") claims.reported_tcb_microcode = 24;
      else if (tee === "az-snp-vtpm") claims.reported_tcb_bootloader = "3";
      else claims.tcb_status = "OutOfDate";
    });
    expect(status).not.toBe("affirming");
  });

  it("with another measurement it is not affirming", () => {
    const { status } = change((c) => {
      const claims = (c as Record<string, unknown>)[tee] as Record<string, unknown>;
      if (tee.includes("snp")) claims.measurement = "00".repeat(48);
      else (claims.quote as { body: Record<string, string> }).body.mr_td = "00".repeat(48);
    });
    expect(status).not.toBe("affirming");
  });

  it("booted without initdata it is neither affirming nor granted", () => {
    for (const remove of [true, false]) {
      const outcome = change((c) => {
        const claims = c as Record<string, unknown>;
        if (remove) delete claims.init_data_claims;
        else claims.init_data_claims = null;
      });
      expect(outcome.status).not.toBe("affirming");
      expect(outcome.grant).toEqual(NOTHING);
    }
  });

  it("with other initdata, or none reported, it is not granted", () => {
    expect(change((c) => Object.assign(c, { init_data: "ab".repeat(32) })).grant).toEqual(NOTHING);
    expect(change((c) => Object.assign(c, { init_data: undefined })).grant).toEqual(NOTHING);
    expect(change((c) => Object.assign(c, { init_data: 7 })).grant).toEqual(NOTHING);
  });

  it("a grant narrowed to other measurements, or for another TEE, is no grant", () => {
    const claims = load("claims", tee);
    const decide = (edit: object) => appraise("attestation-cpu-production", claims, grantedBy(tee, edit)).grant;
    const own = tee.includes("snp") ? claims[tee].measurement : claims[tee].quote.body.mr_td;
    expect(decide({ measurements: [own] }).paths).toEqual(PATHS);
    expect(decide({ measurements: ["00"] })).toEqual(NOTHING);
    expect(decide({ tee: "sample" })).toEqual(NOTHING);
    expect(decide({ paths: { a: PATHS[0] } })).toEqual(NOTHING);
  });

  it("claims of a second TEE beside its own make it contraindicated", () => {
    expect(change((c) => Object.assign(c, { sample: { svn: "1" } })).status).toBe("contraindicated");
  });
});

describe("production policy: evidence that proves nothing", () => {
  it.each(["sample", "tpm", "sgx", "unknown"])(
    "%s is contraindicated and not granted, whatever is registered",
    (kind) => {
      const claims = { ...load("claims", "sample") };
      const evidence = claims.sample;
      delete claims.sample;
      claims[kind] = evidence;
      const references = {
        ...grantedBy("sample"),
        "sealflow.sample.measurement": ["abcde"],
        "sealflow.sample.minimum_tcb": { bootloader: 0, microcode: 0, snp: 0, tee: 0 },
      };
      expect(appraise("attestation-cpu-production", claims, references)).toEqual({
        status: "contraindicated",
        grant: NOTHING,
      });
    },
  );
});

describe("development policy", () => {
  it("accepts simulated evidence with initdata and nothing else", () => {
    const decide = (claims: unknown) => appraise("attestation-cpu-development", claims, grantedBy("sample"));
    const claims = load("claims", "sample");
    expect(decide(claims)).toEqual({ status: "affirming", grant: { paths: PATHS, require: [] } });
    expect(decide({ ...claims, init_data_claims: null }).status).not.toBe("affirming");
    expect(decide({ ...claims, sample: { ...claims.sample, debug: true } }).status).not.toBe("affirming");
    for (const tee of HARDWARE) expect(decide(load("claims", tee)).status).toBe("contraindicated");
  });
});

describe.each(["sample", ...HARDWARE])("resource policy on the token of %s", (tee) => {
  const [granted, other] = load("ear", "resource-requests").requests;
  const allow = (edit: (token: Json) => void, request: unknown = granted) => {
    const token = load("ear", tee);
    token.submods.cpu0["ear.status"] = "affirming";
    token.submods.cpu0["ear.sealflow.grant"] = { paths: PATHS, require: [] };
    edit(token);
    return loadCompiled("resource").evaluate("policy/allow", token, request as object);
  };
  type Token = { submods: Record<string, Record<string, unknown>> };
  const cpu = (t: Json) => (t as unknown as Token).submods.cpu0 as Record<string, unknown>;

  it("allows the granted path and no other, no other plugin, no prefix", () => {
    expect(allow(() => {})).toBe(true);
    expect(allow(() => {}, other)).toBe(false);
    expect(allow(() => {}, { ...granted, plugin: "pkcs11" })).toBe(false);
    expect(allow(() => {}, { ...granted, "resource-path": ["default", "keys"] })).toBe(false);
    expect(allow(() => {}, { ...granted, "resource-path": ["default/keys", "model"] })).toBe(false);
    expect(allow(() => {}, { ...granted, "resource-path": "default/keys/model" })).toBe(false);
  });

  it.each<[string, (t: Json) => void]>([
    ["a warning", (t) => Object.assign(cpu(t), { "ear.status": "warning" })],
    ["no status", (t) => Object.assign(cpu(t), { "ear.status": undefined })],
    ["no grant", (t) => Object.assign(cpu(t), { "ear.sealflow.grant": undefined })],
    ["a grant that is a list", (t) => Object.assign(cpu(t), { "ear.sealflow.grant": PATHS })],
    [
      "paths in an object",
      (t) => Object.assign(cpu(t), { "ear.sealflow.grant": { paths: { a: PATHS[0] }, require: [] } }),
    ],
    ["no list of requirements", (t) => Object.assign(cpu(t), { "ear.sealflow.grant": { paths: PATHS } })],
    [
      "a required device that is absent",
      (t) => Object.assign(cpu(t), { "ear.sealflow.grant": { paths: PATHS, require: ["gpu0"] } }),
    ],
    [
      "null initdata",
      (t) => Object.assign(cpu(t)["ear.veraison.annotated-evidence"] as object, { init_data_claims: null }),
    ],
    ["no submodules", (t) => Object.assign(t, { submods: {} })],
    [
      "a device that is not affirming",
      (t) => Object.assign((t as unknown as Token).submods, { gpu0: { "ear.status": "warning" } }),
    ],
  ])("with %s it denies", (_what, edit) => {
    expect(allow((t) => void edit(t))).toBe(false);
  });

  it("allows with the required device affirming", () => {
    const decided = allow((t) => {
      Object.assign(cpu(t), { "ear.sealflow.grant": { paths: PATHS, require: ["gpu0"] } });
      Object.assign((t as unknown as Token).submods, { gpu0: { "ear.status": "affirming" } });
    });
    expect(decided).toBe(true);
  });
});

describe("grants", () => {
  it("are named by the field as Trustee reports it", () => {
    expect(grantId("snp", "ab".repeat(32))).toBe(`sealflow.grant.${"ab".repeat(32)}`);
    expect(grantId("tdx", "ab".repeat(48))).toBe(`sealflow.grant.${"ab".repeat(48)}`);
    expect(grantId("sample", "fb".repeat(32))).toMatch(/^sealflow\.grant\.[A-Za-z0-9_-]{43}$/);
    expect(() => grantId("tdx", "ab".repeat(32))).toThrow("expected 48");
  });

  it("are canonical, and refused when Trustee could not use them", () => {
    expect(grantValue({ tee: "snp", paths: ["b/b/b", "a/a/a", "b/b/b"] }).paths).toEqual(["a/a/a", "b/b/b"]);
    expect(() => grantValue({ tee: "snp", paths: [] })).toThrow("0 paths");
    expect(() => grantValue({ tee: "snp", paths: ["a/*/c"] })).toThrow("a/*/c");
    expect(() => grantValue({ tee: "snp", paths: Array.from({ length: 301 }, (_, i) => `a/b/${i}`) })).toThrow("301");
    expect(() => grantValue({ tee: "snp", paths: ["a/b/c"], require: ["gpu"] })).toThrow("gpu0");
  });
});

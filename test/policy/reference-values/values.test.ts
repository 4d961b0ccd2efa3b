import { readFileSync } from "node:fs";
import { join } from "node:path";
import {
  checkGuestImage,
  publishedPcr11,
  type ReferenceValueSet,
  referenceValueDiff,
  referenceValues,
} from "../../../policy/reference-values";
import { loadCompiled } from "../../../policy/wasm";

const claims = (tee: string) => JSON.parse(readFileSync(join(__dirname, `../../vectors/claims/${tee}.json`), "utf8"));
const hexOf = (text: string) => (/^[0-9a-f]{96}$/.test(text) ? text : Buffer.from(text, "base64").toString("hex"));
const common = { source: "test", defaultPolicy: "deny" } as const;
const minimumTcb = { bootloader: 4, microcode: 25, snp: 23, tee: 0 };

/** Typed values of each TEE that admit its claims document. */
const VALUES: ReferenceValueSet[] = [
  { ...common, tee: "snp", measurements: [claims("snp").snp.measurement], minimumTcb },
  {
    ...common,
    tee: "az-snp-vtpm",
    measurements: [hexOf(claims("az-snp-vtpm")["az-snp-vtpm"].measurement)],
    pcr11: [claims("az-snp-vtpm")["az-snp-vtpm"].tpm.pcr11],
    minimumTcb,
  },
  (() => {
    const { mr_td, rtmr_1, rtmr_2, xfam } = claims("tdx").tdx.quote.body;
    return { ...common, tee: "tdx", mrTd: [mr_td], rtmr1: [rtmr_1], rtmr2: [rtmr_2], xfam: [xfam] } as const;
  })(),
  (() => {
    const { quote, tpm } = claims("az-tdx-vtpm")["az-tdx-vtpm"];
    return {
      ...common,
      tee: "az-tdx-vtpm",
      mrTd: [quote.body.mr_td],
      pcr11: [tpm.pcr11],
      xfam: [quote.body.xfam],
    } as const;
  })(),
];

describe.each(VALUES.map((v) => [v.tee, v] as const))("%s", (tee, values) => {
  const registered = Object.fromEntries(referenceValues(values).map(({ id, value }) => [id, value]));
  const appraise = (references: Record<string, unknown>) => {
    const policy = loadCompiled("attestation-cpu-production", (id) => references[id] ?? null);
    const vector = policy.evaluate("policy/trust_claims", claims(tee)) as Record<string, number>;
    return Math.max(...Object.values(vector));
  };

  it("typed values make the production policy affirm the matching guest", () => {
    expect(appraise(registered)).toBeLessThan(32);
  });

  it("and each of them is needed", () => {
    for (const id of Object.keys(registered)) {
      expect(appraise({ ...registered, [id]: [] })).toBeGreaterThanOrEqual(32);
      const { [id]: _gone, ...others } = registered;
      expect(appraise(others)).toBeGreaterThanOrEqual(32);
    }
  });

  it("are the same bytes in any order and with doubles", () => {
    const [list] = Object.entries(values).filter(([, v]) => Array.isArray(v)) as [string, string[]][];
    const [name, found] = list as [string, string[]];
    const more = [...found, "ab".repeat((found[0] as string).length / 2)];
    const a = referenceValues({ ...values, [name]: more } as ReferenceValueSet);
    expect(referenceValues({ ...values, [name]: [...more].reverse().concat(more) } as ReferenceValueSet)).toEqual(a);
  });
});

describe("refused", () => {
  const snp = VALUES[0] as Extract<ReferenceValueSet, { tee: "snp" }>;
  it.each<[string, Partial<typeof snp>, string]>([
    ["an empty list", { measurements: [] }, "measurements is empty"],
    ["another width", { measurements: ["ab".repeat(32)] }, "not 48 bytes"],
    ["capitals", { measurements: ["AB".repeat(48)] }, "lower-case hex"],
    ["zeros", { measurements: ["00".repeat(48)] }, "all zeros"],
    ["no minimum", { minimumTcb: { bootloader: 0, tee: 0, snp: 0, microcode: 0 } }, "lets every firmware in"],
    ["a minimum of 1.5", { minimumTcb: { ...minimumTcb, snp: 1.5 } }, "minimumTcb.snp is 1.5"],
    ["no source", { source: "" }, "source is empty"],
  ])("%s", (_what, change, message) => {
    expect(() => referenceValues({ ...snp, ...change })).toThrow(message);
  });

  it("with all problems at once", () => {
    const all = { ...snp, measurements: ["x"], source: "" };
    expect(() => referenceValues(all)).toThrow(/measurements: .*; source is empty/);
  });
});

describe("a diff", () => {
  const [snp] = VALUES as [Extract<ReferenceValueSet, { tee: "snp" }>];
  const before = referenceValues(snp);
  it("names what comes and goes, short", () => {
    const after = referenceValues({ ...snp, measurements: ["ab".repeat(48)], minimumTcb: { ...minimumTcb, snp: 24 } });
    expect(referenceValueDiff(before, after)).toEqual([
      `- sealflow.snp.measurement: ${(snp.measurements[0] as string).slice(0, 16)}…`,
      "+ sealflow.snp.measurement: abababababababab…",
      '- sealflow.snp.minimum_tcb: {"bootloader":4,"microcode":25,"snp":23,"tee":0}',
      '+ sealflow.snp.minimum_tcb: {"bootloader":4,"microcode":25,"snp":24,"tee":0}',
    ]);
  });

  it("of equal values is empty; of none to some, all lines come", () => {
    expect(referenceValueDiff(before, before)).toEqual([]);
    expect(referenceValueDiff([], before).every((line) => line.startsWith("+ "))).toBe(true);
  });
});

describe("published measurements", () => {
  const set = (sha256: unknown) => JSON.stringify({ measurements: { sha256 } });
  const pcr = "58e8afdf5b105fc6b202eb8e537a9f1512a4b33cd5921171b518645a86ca5a75";
  it("give PCR 11 of a pod-VM image", () => {
    expect(publishedPcr11(set({ pcr03: `0x${"0".repeat(63)}1`, pcr11: `0x${pcr}` }))).toBe(pcr);
  });

  it.each([
    ["no JSON", "x", "not JSON"],
    ["null", "null", "expected an object"],
    ["a list", "[]", "expected an object"],
    ["no PCR 11", set({ pcr09: `0x${pcr}` }), "has pcr09"],
    ["a short PCR", set({ pcr11: "0xabcd" }), "0x and 64 hex digits"],
    ["no 0x", set({ pcr11: pcr }), "0x and 64 hex digits"],
  ])("that are %s are refused", (_what, json, message) => {
    expect(() => publishedPcr11(json)).toThrow(message);
  });
});

describe("a stock guest image", () => {
  const hardware = ["snp", "tdx", "az-snp-vtpm", "az-tdx-vtpm"] as const;
  it.each(hardware)("is refused on %s, and says how to get out of it", (tee) => {
    expect(() => checkGuestImage({ tee, defaultPolicy: "stock" })).toThrow(/acknowledgeStockGuestImage: "<reason>"/);
    expect(() => checkGuestImage({ tee, defaultPolicy: "stock", acknowledgeStockGuestImage: "  yes  " })).toThrow(
      "stock",
    );
  });

  it.each(hardware)("with a reason passes on %s, with a warning that repeats it", (tee) => {
    const reason = "pilot with public data until image 7 is measured";
    expect(checkGuestImage({ tee, defaultPolicy: "stock", acknowledgeStockGuestImage: reason })).toContain(reason);
  });

  it("that denies needs no reason and takes none", () => {
    expect(checkGuestImage({ tee: "snp", defaultPolicy: "deny" })).toBeUndefined();
    expect(() =>
      checkGuestImage({ tee: "snp", defaultPolicy: "deny", acknowledgeStockGuestImage: "just to be safe" }),
    ).toThrow("remove it");
  });

  it("means nothing on the simulated platform", () => {
    expect(checkGuestImage({ tee: "sample", defaultPolicy: "stock" })).toBeUndefined();
  });
});

/**
 * Every (claims document × policy × grant × devices × path): is the resource released? Decided by regorus and by the
 * compiled forms, through both policies of a real request: appraisal, then the resource policy on the token made of it.
 * What is right comes from a few lines of TypeScript that know nothing of Rego.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { grantId, type TrusteePolicyName, trusteePolicy } from "../../policy";
import { loadCompiled } from "../../policy/wasm";
import type { Tee } from "../../protocol/rcar";

interface Command {
  policy: string;
  rule: string;
  input: unknown;
  data: object;
  references?: Record<string, unknown>;
}
const { findRegorus, decideAll } = require("../../tools/regorus.js") as {
  findRegorus(): string | undefined;
  decideAll(binary: string, commands: Command[]): { value?: unknown; error?: string }[];
};

// biome-ignore lint/suspicious/noExplicitAny: claims documents are edited at any depth.
type Claims = any;
const TEES = ["sample", "snp", "tdx", "az-snp-vtpm", "az-tdx-vtpm"] as const;
const load = (tee: Tee): Claims => {
  const claims = JSON.parse(readFileSync(join(__dirname, `../vectors/claims/${tee}.json`), "utf8"));
  if (tee !== "sample") claims[tee].uefi_event_logs = []; // long, and no policy of ours reads it
  return claims;
};
const idOf = (tee: Tee, initData: string): string =>
  grantId(tee, tee === "sample" ? Buffer.from(initData, "base64").toString("hex") : initData);
const hexOrBase64 = (tee: Tee, byte: string, width: number): string =>
  tee === "sample" ? Buffer.from(byte.repeat(width), "hex").toString("base64") : byte.repeat(width);

/** Initdata field of the other step, as this TEE would report it. */
const otherInitData = (tee: Tee): string => hexOrBase64(tee, "b5", tee === "tdx" ? 48 : 32);
const measurementOf = (tee: Tee, claims: Claims): string =>
  tee === "sample"
    ? claims.sample.launch_digest
    : tee.includes("snp")
      ? claims[tee].measurement
      : claims[tee].quote.body.mr_td;

interface Variant {
  readonly name: string;
  readonly edit: (claims: Claims, tee: Tee) => void;
  /** May the guest be affirmed at all? */
  readonly genuine: boolean;
  /** Whose grant applies. */
  readonly initdata: "own" | "other" | "none";
  readonly on: readonly Tee[];
}
const HARDWARE: readonly Tee[] = ["snp", "tdx", "az-snp-vtpm", "az-tdx-vtpm"];
const own = { initdata: "own", on: TEES } as const;
const VARIANTS: readonly Variant[] = [
  { name: "genuine", edit: () => {}, genuine: true, ...own },
  {
    name: "debug bit on",
    edit: (c, tee) => {
      if (tee === "sample") c.sample.debug = true;
      else if (tee === "snp") c.snp.policy_debug_allowed = true;
      else if (tee === "az-snp-vtpm") c[tee].policy_debug_allowed = "true";
      else c[tee].td_attributes.debug = true;
    },
    genuine: false,
    ...own,
  },
  {
    name: "may be migrated",
    edit: (c, tee) => {
      if (tee === "snp") c.snp.policy_migrate_ma = true;
      else if (tee === "az-snp-vtpm") c[tee].policy_migrate_ma = "true";
      else c[tee].quote.body.td_attributes = "0000003000000000";
    },
    genuine: false,
    initdata: "own",
    on: HARDWARE,
  },
  {
    name: "TCB below the minimum",
    edit: (c, tee) => {
      if (tee === "snp") c.snp.reported_tcb_snp = 22;
      else if (tee === "az-snp-vtpm") c[tee].reported_tcb_snp = "22";
      else c[tee].tcb_status = "OutOfDate";
    },
    genuine: false,
    initdata: "own",
    on: HARDWARE,
  },
  {
    name: "TCB version missing",
    edit: (c, tee) => {
      if (tee.includes("snp")) c[tee].reported_tcb_microcode = null;
      else delete c[tee].tcb_status;
    },
    genuine: false,
    initdata: "own",
    on: HARDWARE,
  },
  {
    name: "another measurement",
    edit: (c, tee) => {
      if (tee.includes("snp")) c[tee].measurement = "00".repeat(48);
      else c[tee].quote.body.mr_td = "00".repeat(48);
    },
    genuine: false,
    initdata: "own",
    on: HARDWARE,
  },
  {
    name: "another guest image",
    edit: (c, tee) => {
      if (tee === "tdx") c.tdx.quote.body.rtmr_2 = "00".repeat(48);
      else c[tee].tpm.pcr11 = "00".repeat(32);
    },
    genuine: false,
    initdata: "own",
    on: ["tdx", "az-snp-vtpm", "az-tdx-vtpm"],
  },
  {
    name: "the other step's initdata",
    edit: (c, tee) => {
      c.init_data = otherInitData(tee);
    },
    genuine: true,
    initdata: "other",
    on: TEES,
  },
  {
    name: "initdata nobody registered",
    edit: (c, tee) => {
      c.init_data = hexOrBase64(tee, "77", tee === "tdx" ? 48 : 32);
    },
    genuine: true,
    initdata: "none",
    on: TEES,
  },
  {
    name: "booted without initdata",
    edit: (c) => {
      c.init_data_claims = null;
    },
    genuine: false,
    initdata: "none",
    on: TEES,
  },
  {
    name: "no initdata claims",
    edit: (c) => void delete c.init_data_claims,
    genuine: false,
    initdata: "none",
    on: TEES,
  },
  { name: "no initdata digest", edit: (c) => void delete c.init_data, genuine: true, initdata: "none", on: TEES },
  {
    name: "claims of a TPM besides",
    edit: (c) => {
      c.tpm = { pcr11: "00".repeat(32) };
    },
    genuine: false,
    initdata: "none",
    on: HARDWARE,
  },
];

const OWN = ["sf-1/step/aa", "sf-1/image/k1"];
const OTHER = ["sf-1/step/bb", "sf-1/image/k2"];
const PATHS: readonly string[][] = [
  ...[...OWN, ...OTHER, "sf-2/step/aa", "sf-1/step/aa2", "sf-1/step/*"].map((p) => p.split("/")),
  ["sf-1", "step"],
  ["sf-1/step", "aa"],
  ["sf-1", "step", "aa", ""],
];

interface Grant {
  readonly name: string;
  readonly value: (tee: Tee, measurement: string) => unknown;
  readonly grants: readonly string[];
  readonly require?: readonly string[];
}
const GRANTS: readonly Grant[] = [
  { name: "own", value: (tee) => ({ tee, paths: OWN }), grants: OWN },
  { name: "none", value: () => null, grants: [] },
  { name: "revoked", value: () => [], grants: [] },
  { name: "of another TEE", value: () => ({ tee: "cca", paths: OWN }), grants: [] },
  { name: "narrowed to this image", value: (tee, m) => ({ tee, paths: OWN, measurements: [m] }), grants: OWN },
  { name: "narrowed to another image", value: (tee) => ({ tee, paths: OWN, measurements: ["00"] }), grants: [] },
  { name: "with a wildcard", value: (tee) => ({ tee, paths: [...OWN, "sf-1/step/*"] }), grants: [] },
  { name: "a map of paths", value: (tee) => ({ tee, paths: { a: OWN[0], b: OWN[1] } }), grants: [] },
  {
    name: "that needs a GPU",
    value: (tee) => ({ tee, paths: OWN, require: ["gpu0"] }),
    grants: OWN,
    require: ["gpu0"],
  },
];
const DEVICES = {
  "no device": {},
  "a GPU": { gpu0: { "ear.status": "affirming" } },
  "a bad GPU": { gpu0: { "ear.status": "contraindicated" } },
  "a second GPU": { gpu1: { "ear.status": "affirming" } },
} as const;
type Devices = keyof typeof DEVICES;

/** Values that admit each TEE's document; a sample device must not profit from any. */
function references(tee: Tee, genuine: Claims, grant: Grant): Record<string, unknown> {
  const found: Record<string, unknown> = {
    [idOf(tee, otherInitData(tee))]: { tee, paths: OTHER },
    "sealflow.sample.measurement": ["abcde"],
    "sealflow.sample.minimum_tcb": { bootloader: 0, microcode: 0, snp: 0, tee: 0 },
  };
  const put = (name: string, value: unknown) => {
    found[`sealflow.${tee}.${name}`] = value;
  };
  const own = genuine[tee];
  if (tee.includes("snp")) {
    put("measurement", [own.measurement]);
    put("minimum_tcb", { bootloader: 4, microcode: 25, snp: 23, tee: 0 });
  } else if (tee !== "sample") {
    for (const name of ["mr_td", "rtmr_1", "rtmr_2", "xfam"]) put(name, [own.quote.body[name]]);
  }
  if (own.tpm) put("pcr11", [own.tpm.pcr11]);
  const value = grant.value(tee, measurementOf(tee, genuine));
  if (value !== null) found[idOf(tee, genuine.init_data)] = value;
  return found;
}

interface Row {
  readonly title: string;
  readonly policy: "attestation-cpu-production" | "attestation-cpu-development";
  readonly claims: Claims;
  readonly references: Record<string, unknown>;
  readonly devices: Devices;
  readonly expected: readonly string[];
}

function released(tee: Tee, policy: string, variant: Variant, grant: Grant, devices: Devices): readonly string[] {
  if (!variant.genuine) return [];
  if ((tee === "sample") !== (policy === "attestation-cpu-development")) return [];
  if (devices === "a bad GPU") return [];
  if (variant.initdata === "none") return [];
  if (variant.initdata === "other") return OTHER;
  return grant.require && devices !== "a GPU" ? [] : grant.grants;
}

const ROWS: readonly Row[] = TEES.flatMap((tee) =>
  VARIANTS.filter(({ on }) => on.includes(tee)).flatMap((variant) =>
    GRANTS.flatMap((grant) =>
      (["attestation-cpu-production", "attestation-cpu-development"] as const).flatMap((policy) => {
        const genuine = load(tee);
        const claims = structuredClone(genuine);
        variant.edit(claims, tee);
        const kinds: readonly Devices[] =
          grant.require || variant.name === "genuine" ? (Object.keys(DEVICES) as Devices[]) : ["no device"];
        return kinds.map((devices) => ({
          title: `${tee}, ${variant.name}, grant ${grant.name}, ${devices}, ${policy}`,
          policy,
          claims,
          references: references(tee, genuine, grant),
          devices,
          expected: released(tee, policy, variant, grant, devices),
        }));
      }),
    ),
  ),
);

type Decide = (
  name: TrusteePolicyName,
  rule: string,
  cases: { input: unknown; data?: object; references?: Record<string, unknown> }[],
) => unknown[];

/** The token of a row: what the attestation service makes of trust claims and extensions. */
function token(row: Row, vector: Record<string, number>, extensions: { name: string; value: unknown }[]): object {
  const tier = (v: number): number => (v >= 96 ? 3 : v >= 32 ? 2 : v >= 2 ? 1 : 0);
  const worst = Math.max(...Object.values(vector).map(tier));
  const cpu0 = {
    "ear.status": ["none", "affirming", "warning", "contraindicated"][worst],
    ...Object.fromEntries(extensions.map(({ name, value }) => [name, value])),
    "ear.veraison.annotated-evidence": row.claims,
  };
  return { submods: { cpu0, ...DEVICES[row.devices] } };
}

/** Rows and paths whose answer is not as expected. */
function mistakes(decide: Decide): string[] {
  const tokens = new Map<Row, object>();
  for (const policy of ["attestation-cpu-production", "attestation-cpu-development"] as const) {
    const rows = ROWS.filter((row) => row.policy === policy);
    const cases = rows.map(({ claims, references }) => ({ input: claims, references }));
    const vectors = decide(policy, "policy/trust_claims", cases);
    const extensions = decide(policy, "policy/extensions", cases);
    rows.forEach((row, i) => {
      tokens.set(
        row,
        token(row, vectors[i] as Record<string, number>, extensions[i] as { name: string; value: unknown }[]),
      );
    });
  }
  const requests = ROWS.flatMap((row) => PATHS.map((path) => ({ row, path })));
  const answers = decide(
    "resource",
    "policy/allow",
    requests.map(({ row, path }) => ({
      input: tokens.get(row),
      data: { plugin: "resource", "resource-path": path, query: {} },
    })),
  );
  return requests.flatMap(({ row, path }, i) => {
    const right = path.length === 3 && row.expected.includes(path.join("/"));
    return answers[i] === right ? [] : [`${row.title}: ${path.join("/")} is ${answers[i]}`];
  });
}

it("the table has every case that is listed, and few releases", () => {
  const releases = ROWS.reduce((sum, row) => sum + row.expected.length, 0);
  const decisions = ROWS.length * PATHS.length;
  console.info(`${ROWS.length} rows, ${decisions} decisions, ${releases} releases`);
  expect(ROWS.length).toBeGreaterThan(900);
  expect(releases).toBeGreaterThan(100);
  expect(releases).toBeLessThan(decisions / 10);
});

it("the compiled policies release exactly what is expected", () => {
  const decide: Decide = (name, rule, cases) =>
    cases.map(({ input, data, references: found }) =>
      loadCompiled(name, (id) => found?.[id] ?? null).evaluate(rule, input, data),
    );
  expect(mistakes(decide)).toEqual([]);
}, 120_000);

const binary = findRegorus();
(binary === undefined ? it.skip : it)(
  "regorus releases exactly what is expected",
  () => {
    const decide: Decide = (name, rule, cases) => {
      const { text: policy } = trusteePolicy(name);
      const commands = cases.map((c) => ({ policy, rule: `data.${rule.replace("/", ".")}`, data: {}, ...c }));
      const answers = decideAll(binary as string, commands);
      expect(answers.filter(({ error }) => error)).toEqual([]);
      return answers.map(({ value }) => value);
    };
    expect(mistakes(decide)).toEqual([]);
  },
  600_000,
);

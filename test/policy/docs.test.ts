/** The auditor's texts keep up with what they explain. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type ReferenceValueSet, referenceValues, TRUSTEE_POLICIES, trusteePolicy } from "../../policy";
import { STRICTER } from "./stricter";

const ROOT = join(__dirname, "../..");
const doc = (name: string) => readFileSync(join(ROOT, "docs/trust", name), "utf8");
const named = (text: string, name: string) => text.includes(`\`${name}\``);
/** Names that a Rego text defines at the start of a line. */
const rules = (rego: string): string[] => [
  ...new Set([...rego.matchAll(/^(?:default )?([A-Za-z_]+)(?:\(| |$)/gm)].map((m) => m[1] as string)),
];
const WORDS = new Set(["package", "import", "default", "trust_claims", "measurement"]);

it("docs/trust/agent-policy.md explains every rule of the agent policy", () => {
  const rego = readFileSync(join(ROOT, "policy/agent/rules.rego"), "utf8");
  const names = rules(rego).filter((name) => !WORDS.has(name));
  expect(names.length).toBeGreaterThan(40);
  expect(names.filter((name) => !named(doc("agent-policy.md"), name))).toEqual([]);
});

it("and lists every public case where it is stricter, with the reason", () => {
  for (const [name, reason] of Object.entries(STRICTER)) {
    expect(doc("agent-policy.md")).toContain(`| \`${name}\` | ${reason} |`);
  }
});

it("docs/trust/release-policies.md explains every rule of the Trustee policies", () => {
  const text = doc("release-policies.md");
  for (const policy of TRUSTEE_POLICIES) {
    expect(text).toContain(`${policy}.rego`);
    const names = rules(trusteePolicy(policy).text).filter((name) => !WORDS.has(name));
    const missing = names.filter(
      (name) => !["allow", "reference", "snp_versions"].includes(name) && !named(text, name),
    );
    expect({ policy, missing }).toEqual({ policy, missing: [] });
  }
});

it("docs/trust/reference-values.md lists every reference value", () => {
  const hex = (bytes: number) => [`ab`.repeat(bytes)];
  const common = { source: "x", defaultPolicy: "deny" } as const;
  const minimumTcb = { bootloader: 1, tee: 0, snp: 1, microcode: 1 };
  const sets: ReferenceValueSet[] = [
    { ...common, tee: "snp", measurements: hex(48), minimumTcb },
    { ...common, tee: "az-snp-vtpm", measurements: hex(48), pcr11: hex(32), minimumTcb },
    { ...common, tee: "tdx", mrTd: hex(48), rtmr1: hex(48), rtmr2: hex(48), xfam: hex(8) },
    { ...common, tee: "az-tdx-vtpm", mrTd: hex(48), pcr11: hex(32), xfam: hex(8) },
  ];
  const text = doc("reference-values.md");
  for (const { id } of sets.flatMap(referenceValues)) {
    const short = id.replace(/^sealflow\.[a-z-]+/, "");
    expect(text.includes(`\`${id}\``) || text.includes(`\`${short}\``)).toBe(true);
  }
});

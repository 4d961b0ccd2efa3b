import { gpuPolicy } from "../../policy";
import { loadCompiled } from "../../policy/wasm";
import { mutations } from "./support";

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

const chain = { "x-nvidia-cert-status": "valid", "x-nvidia-cert-ocsp-status": "good" };
const RIM = ["fetched", "measurements-available", "schema-validated", "signature-verified", "version-match"];
/** As NVIDIA's remote service answers for a GPU in confidential-computing mode. */
const CLAIMS = {
  nvidia: {
    secboot: true,
    dbgstat: "disabled",
    measres: "success",
    "x-nvidia-gpu-driver-version": "550.90.07",
    "x-nvidia-gpu-vbios-version": "96.00.9F.00.01",
    "x-nvidia-gpu-arch-check": true,
    "x-nvidia-gpu-attestation-report-cert-chain": chain,
    "x-nvidia-gpu-attestation-report-cert-chain-fwid-match": true,
    "x-nvidia-gpu-attestation-report-parsed": true,
    "x-nvidia-gpu-attestation-report-signature-verified": true,
    "x-nvidia-gpu-driver-rim-cert-chain": chain,
    "x-nvidia-gpu-vbios-rim-cert-chain": chain,
    ...Object.fromEntries(
      ["driver", "vbios"].flatMap((part) => RIM.map((name) => [`x-nvidia-gpu-${part}-rim-${name}`, true])),
    ),
  },
};
const REFERENCES = {
  "sealflow.nvidia.driver_versions": ["550.90.07"],
  "sealflow.nvidia.vbios_versions": ["96.00.9F.00.01"],
};
const underscored = (value: unknown): unknown =>
  typeof value === "object" && value !== null
    ? Object.fromEntries(Object.entries(value).map(([k, v]) => [k.replaceAll("-", "_"), underscored(v)]))
    : value;

const affirming = (vector: unknown): boolean => Object.values(vector as Record<string, number>).every((n) => n < 32);
const appraise = (claims: unknown, references: Record<string, unknown> = REFERENCES): boolean =>
  affirming(loadCompiled("attestation-gpu", (id) => references[id] ?? null).evaluate("policy/trust_claims", claims));

describe("GPU policy", () => {
  it("affirms a genuine GPU with listed versions, in both spellings of the claims", () => {
    expect(appraise(CLAIMS)).toBe(true);
    expect(appraise(underscored(CLAIMS))).toBe(true);
  });

  it.each(Object.keys(CLAIMS.nvidia))("denies without %s, and with it false", (name) => {
    const { [name as "secboot"]: _gone, ...rest } = CLAIMS.nvidia;
    expect(appraise({ nvidia: rest })).toBe(false);
    for (const value of [false, "fail", null, {}]) expect(appraise({ nvidia: { ...rest, [name]: value } })).toBe(false);
  });

  it.each([
    ["no reference values", {}],
    ["other drivers", { ...REFERENCES, "sealflow.nvidia.driver_versions": ["1"] }],
    ["other VBIOS", { ...REFERENCES, "sealflow.nvidia.vbios_versions": [] }],
    ["a text instead of a list", { ...REFERENCES, "sealflow.nvidia.driver_versions": "550.90.07" }],
  ])("denies with %s", (_what, references) => expect(appraise(CLAIMS, references)).toBe(false));

  it.each([
    ["a simulated device", { sampledevice: { svn: "2" } }],
    ["claims verified locally", { nvidia: { arch: "Hopper", measurements: { "1": "00" }, config: {} } }],
    [
      "a revoked certificate",
      {
        nvidia: {
          ...CLAIMS.nvidia,
          "x-nvidia-gpu-vbios-rim-cert-chain": { ...chain, "x-nvidia-cert-ocsp-status": "revoked" },
        },
      },
    ],
    ["nothing", {}],
  ])("denies %s", (_what, claims) => expect(appraise(claims)).toBe(false));

  const binary = findRegorus();
  (binary === undefined ? it.skip : it)("is decided by regorus as by the compiled form, for every mutation", () => {
    const inputs = [CLAIMS, underscored(CLAIMS), ...mutations(CLAIMS).map(({ request }) => request)];
    const { text: policy } = gpuPolicy();
    for (const rule of ["trust_claims", "extensions"]) {
      const commands = inputs.map((input) => ({
        policy,
        rule: `data.policy.${rule}`,
        input,
        data: {},
        references: REFERENCES,
      }));
      const answers = decideAll(binary as string, commands);
      expect(answers.filter(({ error }) => error)).toEqual([]);
      const compiled = loadCompiled("attestation-gpu", (id) => REFERENCES[id as keyof typeof REFERENCES] ?? null);
      expect(answers.map(({ value }) => value)).toEqual(inputs.map((i) => compiled.evaluate(`policy/${rule}`, i)));
    }
  });
});

import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import {
  guestConfig,
  INITDATA_BUDGETS,
  initdataClaims,
  parseInitdata,
  parseInitdataAnnotation,
  renderInitdata,
  reportedInitdata,
  stepGuest,
} from "../../policy";
import { annotationOf, fitTo, type InitdataAlgorithm, initdataDigest } from "../../policy/initdata/document";
import { base64, hex } from "../../protocol/bytes";

const FOLDER = join(__dirname, "../vectors/initdata");
interface Vector {
  file: string;
  algorithm: InitdataAlgorithm;
  size: number;
  digest_hex: string;
  digest_b64: string;
  snp_host_data_hex: string;
  tdx_mr_config_id_hex: string;
  cca_personalization_hex: string;
  azure_pcr8_hex?: string | null;
  annotation_gzip_b64: string;
  init_data_claims: unknown;
}
const { vectors } = JSON.parse(readFileSync(join(FOLDER, "vectors.json"), "utf8")) as { vectors: Vector[] };

describe.each(vectors.map((v) => [v.file, v] as const))("%s", (file, vector) => {
  const text = readFileSync(join(FOLDER, file), "utf8");

  it("has the digest and every field derived from it", () => {
    const document = parseInitdata(text);
    expect(Buffer.byteLength(text)).toBe(vector.size);
    expect(document.algorithm).toBe(vector.algorithm);
    const digest = initdataDigest(text, document.algorithm);
    expect(hex(digest)).toBe(vector.digest_hex);
    expect(base64(digest)).toBe(vector.digest_b64);
    expect(hex(reportedInitdata("snp", text, document.algorithm))).toBe(vector.snp_host_data_hex);
    expect(hex(reportedInitdata("tdx", text, document.algorithm))).toBe(vector.tdx_mr_config_id_hex);
    expect(hex(fitTo(digest, 64))).toBe(vector.cca_personalization_hex);
    expect(hex(reportedInitdata("sample", text, document.algorithm))).toBe(vector.digest_hex);
    if (vector.azure_pcr8_hex) {
      expect(hex(reportedInitdata("az-snp-vtpm", text, document.algorithm))).toBe(vector.azure_pcr8_hex);
      expect(hex(reportedInitdata("az-tdx-vtpm", text, document.algorithm))).toBe(vector.azure_pcr8_hex);
    } else expect(() => reportedInitdata("az-snp-vtpm", text, document.algorithm)).toThrow("needs sha256");
  });

  it("comes out of its annotation, and out of ours, byte for byte", () => {
    expect(parseInitdataAnnotation(vector.annotation_gzip_b64)).toBe(text);
    expect(parseInitdataAnnotation(annotationOf(text))).toBe(text);
  });

  it("gives the claims that Trustee shows its policies", () => {
    expect(initdataClaims(parseInitdata(text))).toEqual(vector.init_data_claims);
  });
});

describe("rendering", () => {
  it("reads back as it was written, in fixed bytes", () => {
    const data = { "aa.toml": "a = 1\n", "policy.rego": "package agent_policy\n" };
    const text = renderInitdata({ algorithm: "sha256", data });
    expect(text).toBe(
      `version = "0.1.0"\nalgorithm = "sha256"\n\n[data]\n"aa.toml" = '''\na = 1\n'''\n\n"policy.rego" = '''\npackage agent_policy\n'''\n`,
    );
    expect(parseInitdata(text)).toEqual({ algorithm: "sha256", data });
  });

  it("gzip carries no time and no name, and its bytes are pinned", () => {
    const annotation = annotationOf(renderInitdata({ algorithm: "sha256", data: { "a.toml": "x = 1\n" } }));
    expect(Buffer.from(annotation, "base64").subarray(0, 10).toString("hex")).toMatch(/^1f8b08000000000002(03|ff)$/);
    expect(annotation).toMatchInlineSnapshot(
      `"H4sIAAAAAAACAytLLSrOzM9TsFVQMtAz1DNQ4krMSc8vyizJyAWJFWckGpmaKXFxRackliTGcikl6pXk5+YoKdgqqKurc1Uo2CoYcoFYAD7KhJFIAAAA"`,
    );
  });

  it.each([
    ["three quotes", "a = '''x'''\n"],
    ["a carriage return", "a = 1\r\n"],
    ["no final newline", "a = 1"],
    ["a null", "a\0\n"],
  ])("an entry with %s is refused", (_what, text) => {
    expect(() => renderInitdata({ algorithm: "sha256", data: { "aa.toml": text } })).toThrow("initdata: aa.toml has");
  });

  it.each([
    ["a quote in the URL", { kbsUrl: 'https://x/"\nevil = "1' }],
    ["credentials in the URL", { kbsUrl: "https://u:p@x" }],
    ["a query", { kbsUrl: "https://x/?a=1" }],
    ["no PEM", { caPem: "hello" }],
    ["text after the PEM", { caPem: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"""\nevil = 1\n' }],
  ])("guest configuration with %s is refused", (_what, change) => {
    const caPem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    expect(() => guestConfig({ kbsUrl: "https://x", caPem, ...change })).toThrow(/KBS URL|CA of the KBS/);
  });
});

describe("reading", () => {
  it.each([
    ["another version", 'version = "0.1.1"\nalgorithm = "sha256"\n[data]\n', "version is"],
    ["another algorithm", 'version = "0.1.0"\nalgorithm = "md5"\n[data]\n', "algorithm is"],
    ["no data", 'version = "0.1.0"\nalgorithm = "sha256"\n', "no [data]"],
    ["a number in the data", 'version = "0.1.0"\nalgorithm = "sha256"\n[data]\na = 1\n', "a is not a text"],
    ["an unknown key", 'version = "0.1.0"\nalgorithm = "sha256"\nmore = 1\n[data]\n', 'unknown key "more"'],
    ["no TOML", "{}{}", "not TOML"],
  ])("%s is refused", (_what, text, message) => {
    expect(() => parseInitdata(text)).toThrow(message);
  });

  it.each([
    ["not base64", "?"],
    ["not gzip", base64(new Uint8Array(40))],
    ["a bomb", gzipSync(Buffer.alloc(20_000_000)).toString("base64")],
    ["too long", "A".repeat(300_000)],
    ["not UTF-8", gzipSync(Buffer.from([0xff, 0xfe])).toString("base64")],
  ])("an annotation that is %s is refused", (_what, annotation) => {
    expect(() => parseInitdataAnnotation(annotation)).toThrow("initdata annotation");
  });
});

describe("a size over its carrier's limit", () => {
  it("is refused with the size of each part", () => {
    const random = (randomBytes(9000).toString("base64").match(/.{64}/g) ?? []).join("\n");
    const caPem = `-----BEGIN CERTIFICATE-----\n${random}\n-----END CERTIFICATE-----\n`;
    const args = {
      tee: "snp" as const,
      kbsUrl: "https://kbs.example",
      caPem,
      imageReference: `a.b/c@sha256:${"ab".repeat(32)}`,
      resource: "sf-1/step/aa",
    };
    expect(stepGuest(args).annotation.length).toBeGreaterThan(12_288);
    expect(() => stepGuest({ ...args, budget: INITDATA_BUDGETS.ec2 })).toThrow(
      /EC2 user data .* takes 12288.*aa\.toml \d+ B.*CA bundle/,
    );
  });
});

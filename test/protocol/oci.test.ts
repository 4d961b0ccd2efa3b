import { utf8 } from "../../protocol/bytes";
import { sha256hex } from "../../protocol/crypto";
import {
  checkBlob,
  checkLayoutFile,
  type Descriptor,
  MAX_DOCUMENT,
  MEDIA,
  parseConfig,
  parseIndex,
  parseManifest,
  REF_NAME,
  selectImage,
  selectPlatform,
} from "../../protocol/oci";

const json = (value: unknown) => utf8(JSON.stringify(value));
const hex = (n: number) => n.toString(16).padStart(64, "0");
const descriptor = (changes: object = {}) => ({
  mediaType: MEDIA.manifest,
  digest: `sha256:${hex(1)}`,
  size: 10,
  ...changes,
});
const form = (message: string | RegExp) =>
  expect.objectContaining({ code: "OCI_FORM", message: expect.stringMatching(message) });

test("an index, a manifest and a config are read, fields of others left alone", () => {
  const platform = { os: "linux", architecture: "amd64", variant: "v3" };
  const entry = descriptor({ annotations: { [REF_NAME]: "v1" }, platform, urls: [], data: "" });
  expect(parseIndex(json({ schemaVersion: 2, manifests: [entry], artifactType: "x" }), "index")).toEqual([
    {
      mediaType: MEDIA.manifest,
      digest: hex(1),
      size: 10,
      annotations: { [REF_NAME]: "v1" },
      platform: { os: "linux", architecture: "amd64" },
    },
  ]);
  const manifest = parseManifest(json({ config: descriptor(), layers: [descriptor({ size: 0 })], subject: {} }), "m");
  expect(manifest.layers[0]).toMatchObject({ size: 0, annotations: {} });
  const made = { Env: ["A=1"], Cmd: null, Entrypoint: ["/x"], WorkingDir: "/w", Labels: { a: "b" } };
  const config = { os: "linux", architecture: "amd64", rootfs: { diff_ids: [`sha256:${hex(2)}`] }, config: made };
  expect(parseConfig(json(config), "c")).toEqual({
    os: "linux",
    architecture: "amd64",
    diffIds: [hex(2)],
    process: { env: ["A=1"], entrypoint: ["/x"], cmd: [], workingDir: "/w" },
  });
  const { config: _made, ...bare } = config;
  expect(parseConfig(json(bare), "c").process).toEqual({ env: [], entrypoint: [], cmd: [], workingDir: "" });
});

test.each<[string, unknown, RegExp]>([
  ["a list", [], /expected an object/],
  ["no layers", { config: descriptor() }, /layers is not a list/],
  ["too many layers", { config: descriptor(), layers: Array(1001).fill(descriptor()) }, /1001 entries/],
  ["no config", { layers: [] }, /config: expected an object/],
  ["a layer without digest", { config: descriptor(), layers: [descriptor({ digest: 1 })] }, /layers\[0\]: digest/],
  ["a short digest", { config: descriptor({ digest: "sha256:ab" }), layers: [] }, /config: digest: "sha256:ab"/],
  ["a path as digest", { config: descriptor({ digest: `sha256:${"../".repeat(21)}x` }), layers: [] }, /digest/],
  ["capitals in a digest", { config: descriptor({ digest: `sha256:${"A".repeat(64)}` }), layers: [] }, /digest/],
  ["a negative size", { config: descriptor({ size: -1 }), layers: [] }, /size/],
  ["a size that is text", { config: descriptor({ size: "1" }), layers: [] }, /size/],
  ["annotations of another kind", { config: descriptor({ annotations: { a: 1 } }), layers: [] }, /annotations/],
])("a manifest with %s is refused with its place", (_what, value, message) => {
  expect(() => parseManifest(json(value), "manifest")).toThrow(form(message));
});

test("what is no JSON, too long, of another layout version, or digested otherwise is refused", () => {
  expect(() => parseIndex(utf8("{"), "index.json")).toThrow(form(/^index\.json: not JSON$/));
  expect(() => parseIndex(new Uint8Array(MAX_DOCUMENT + 1), "index.json")).toThrow(form(/at most/));
  expect(() => checkLayoutFile(json({ imageLayoutVersion: "2.0.0" }), "l")).toThrow(form(/"2\.0\.0"/));
  expect(() => checkLayoutFile(json({}), "l")).toThrow(form(/missing/));
  checkLayoutFile(json({ imageLayoutVersion: "1.0.0" }), "l");
  const digest = `sha512:${"a".repeat(128)}`;
  expect(() => parseManifest(json({ config: descriptor({ digest }), layers: [] }), "m")).toThrow(
    expect.objectContaining({ code: "OCI_UNSUPPORTED" }),
  );
});

test("a blob is checked by size and digest", () => {
  const bytes = utf8("blob");
  const good: Descriptor = { mediaType: MEDIA.layer, digest: sha256hex(bytes), size: 4, annotations: {} };
  checkBlob(bytes, good, "blob");
  expect(() => checkBlob(utf8("blub"), good, "blob")).toThrow(form(/damaged/));
  expect(() => checkBlob(bytes, { ...good, size: 5 }, "blob")).toThrow(form(/damaged/));
});

describe("choosing an image", () => {
  const entry = (n: number, changes: Partial<Descriptor> = {}): Descriptor => ({
    mediaType: MEDIA.manifest,
    digest: hex(n),
    size: 1,
    annotations: {},
    ...changes,
  });
  const tagged = (n: number, tag: string) => entry(n, { annotations: { [REF_NAME]: tag } });
  const attestation = entry(9, { platform: { os: "unknown", architecture: "unknown" } });
  const ref = (message: RegExp) =>
    expect.objectContaining({ code: "OCI_REF", message: expect.stringMatching(message) });

  test("the only one needs no name; of several one is named, by tag or digest", () => {
    expect(selectImage([entry(1), attestation], undefined, "x").digest).toBe(hex(1));
    const several = [tagged(1, "v1"), tagged(2, "v2"), tagged(2, "latest")];
    expect(selectImage(several, "v2", "x").digest).toBe(hex(2));
    expect(selectImage(several, `sha256:${hex(1)}`, "x").digest).toBe(hex(1));
    expect(() => selectImage(several, undefined, "x")).toThrow(ref(/2 images \(v1, v2, latest\)/));
    expect(() => selectImage(several, "v3", "x")).toThrow(ref(/"v3"; there are v1, v2, latest/));
    expect(() => selectImage([tagged(1, "a"), tagged(2, "a")], "a", "x")).toThrow(ref(/2 images are called "a"/));
    expect(() => selectImage([], undefined, "x")).toThrow(ref(/0 images \(none\)/));
  });

  test("of platforms linux on the given architecture", () => {
    const of = (n: number, os: string, architecture: string) => entry(n, { platform: { os, architecture } });
    const all = [of(1, "linux", "arm64"), of(2, "linux", "amd64"), of(3, "windows", "amd64"), attestation];
    expect(selectPlatform(all, "amd64", "x").digest).toBe(hex(2));
    expect(() => selectPlatform(all, "riscv64", "x")).toThrow(ref(/linux\/arm64, linux\/amd64, windows\/amd64/));
  });
});

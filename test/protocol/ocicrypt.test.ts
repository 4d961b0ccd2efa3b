import { readFileSync } from "node:fs";
import { join } from "node:path";
import { base64, concat, fromBase64, hex, utf8 } from "../../protocol/bytes";
import { sha256hex } from "../../protocol/crypto";
import {
  CIPHER,
  KEY_PACKETS,
  kidOf,
  kidsOf,
  LayerOpener,
  LayerSealer,
  type OpenLayer,
  PUBLIC_OPTIONS,
  pathOfKid,
  unwrapLayer,
  wrapLayer,
} from "../../protocol/ocicrypt";

const read = (name: string) => readFileSync(join(__dirname, "../vectors/ocicrypt", name), "utf8");
const vector = JSON.parse(read("layer.json"));
const sample = JSON.parse(read("sample_kbc_unwrapped.json"));
const kid = kidOf("sf-0000000000000000/image/aa");
const key = fromBase64(vector.key);
const nonce = fromBase64(vector.nonce);
const kek = fromBase64(vector.kek);
const encode = (value: unknown) => base64(utf8(JSON.stringify(value)));
const decode = (text: string | undefined) => JSON.parse(Buffer.from(text ?? "", "base64").toString());

const annotations = wrapLayer({
  key,
  nonce,
  digest: vector.digest,
  hmac: fromBase64(vector.hmac),
  kid,
  kek,
  iv: () => fromBase64(vector.iv),
});

function open(layer: OpenLayer, pieces: Uint8Array[]): Uint8Array {
  const opener = new LayerOpener(layer);
  const plaintext = concat(...pieces.map((piece) => opener.update(piece)));
  opener.final();
  return plaintext;
}

describe("vectors", () => {
  test("upstream's packet opens with upstream's key", () => {
    const layer = unwrapLayer(
      {
        [KEY_PACKETS]: Buffer.from(read("sample_kbc_annotation.json")).toString("base64"),
        [PUBLIC_OPTIONS]: annotations[PUBLIC_OPTIONS] as string,
      },
      (id) => (id === "kbs:///default/key/1" ? fromBase64(sample.kek_b64) : undefined),
    );
    expect(base64(layer.key)).toBe(sample.plaintext_fields.symkey);
    expect(`sha256:${layer.digest}`).toBe(sample.plaintext_fields.digest);
    expect(base64(layer.nonce)).toBe(sample.plaintext_fields.cipheroptions.nonce);
  });

  test.each([1, 7, 16, 30])("the layer in pieces of %i bytes gives the pinned ciphertext, HMAC and packet", (size) => {
    const plaintext = utf8(vector.plaintext);
    const sealer = new LayerSealer(key, nonce);
    const sealed: Uint8Array[] = [];
    for (let at = 0; at < plaintext.length; at += size) sealed.push(sealer.update(plaintext.subarray(at, at + size)));
    const ciphertext = concat(...sealed);
    expect(base64(ciphertext)).toBe(vector.ciphertext);
    const end = sealer.final();
    expect(end).toEqual({ hmac: fromBase64(vector.hmac), size: 30 });
    expect(decode(annotations[KEY_PACKETS])).toEqual({
      kid,
      wrapped_data: vector.wrapped_data,
      iv: vector.iv,
      wrap_type: "A256GCM",
    });
    expect(decode(annotations[PUBLIC_OPTIONS])).toEqual({ cipher: CIPHER, hmac: vector.hmac, cipheroptions: {} });
    expect(
      Buffer.from(
        open(
          unwrapLayer(annotations, () => kek),
          sealed,
        ),
      ).toString(),
    ).toBe(vector.plaintext);
  });

  test("the IV is asked for with the digest of what is wrapped", () => {
    const digests: string[] = [];
    const iv = (digest: string) => {
      digests.push(digest);
      return new Uint8Array(12);
    };
    wrapLayer({ key, nonce, digest: vector.digest, hmac: fromBase64(vector.hmac), kid, kek, iv });
    const secret = `{"symkey":"${vector.key}","digest":"sha256:${vector.digest}","cipheroptions":{"nonce":"${vector.nonce}"}}`;
    expect(digests).toEqual([sha256hex(secret)]);
  });
});

describe("a layer", () => {
  const layer = unwrapLayer(annotations, () => kek);
  const ciphertext = fromBase64(vector.ciphertext);

  test("with any one bit flipped is refused with LAYER_AUTH", () => {
    for (let bit = 0; bit < ciphertext.length * 8; bit++) {
      const changed = ciphertext.slice();
      changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
      expect(() => open(layer, [changed])).toThrow(expect.objectContaining({ code: "LAYER_AUTH" }));
    }
  });

  test.each([
    ["cut off", ciphertext.subarray(0, 29)],
    ["longer", concat(ciphertext, Uint8Array.of(0))],
    ["empty", new Uint8Array(0)],
  ])("%s is refused with LAYER_AUTH", (_what, bytes) => {
    expect(() => open(layer, [bytes])).toThrow(expect.objectContaining({ code: "LAYER_AUTH" }));
  });

  test("whose options name another plaintext is refused with LAYER_DIGEST", () => {
    expect(() => open({ ...layer, digest: hex(new Uint8Array(32)) }, [ciphertext])).toThrow(
      expect.objectContaining({ code: "LAYER_DIGEST" }),
    );
  });
});

describe("options", () => {
  const packet = decode(annotations[KEY_PACKETS]);
  const withPacket = (changes: object) => ({ ...annotations, [KEY_PACKETS]: encode({ ...packet, ...changes }) });
  const withOpen = (value: unknown) => ({ ...annotations, [PUBLIC_OPTIONS]: encode(value) });

  test("name the key they need", () => {
    expect(kidsOf(annotations)).toEqual([kid]);
    expect(pathOfKid(kid)).toBe("sf-0000000000000000/image/aa");
    expect(() => unwrapLayer(annotations, () => undefined)).toThrow(
      expect.objectContaining({ code: "LAYER_KEY", message: expect.stringContaining(kid) }),
    );
    for (const bad of ["kbs:///a/b", "kbs:///a/b/c/d", "/default/image-kek/x", "kbs://host/a/b/c"])
      expect(() => pathOfKid(bad)).toThrow(expect.objectContaining({ code: "LAYER_FORM" }));
  });

  test("of several recipients open with whichever key is there", () => {
    const other = encode({ ...packet, kid: "kbs:///a/b/c" });
    const both = { ...annotations, [KEY_PACKETS]: `${other},${annotations[KEY_PACKETS]}` };
    expect(kidsOf(both)).toEqual(["kbs:///a/b/c", kid]);
    expect(unwrapLayer(both, (id) => (id === kid ? kek : undefined)).kid).toBe(kid);
  });

  test("of the second version's packet open too", () => {
    const v2 = withPacket({ version: "0.1.0", provider: "kbs", provider_settings: {}, annotations: {} });
    expect(unwrapLayer(v2, () => kek).digest).toBe(vector.digest);
  });

  test.each([
    ["another key", annotations, new Uint8Array(32), "LAYER_KEY"],
    ["a short key", annotations, new Uint8Array(31), "LAYER_KEY"],
    ["another IV", withPacket({ iv: base64(new Uint8Array(12)) }), kek, "LAYER_KEY"],
    ["a short IV", withPacket({ iv: base64(new Uint8Array(11)) }), kek, "LAYER_FORM"],
    ["an unauthenticated wrap", withPacket({ wrap_type: "A256CTR" }), kek, "LAYER_FORM"],
    ["no key id", withPacket({ kid: 1 }), kek, "LAYER_FORM"],
    ["a tag alone", withPacket({ wrapped_data: base64(new Uint8Array(16)) }), kek, "LAYER_FORM"],
    ["sloppy base64", withPacket({ wrapped_data: `${packet.wrapped_data} ` }), kek, "LAYER_FORM"],
    ["no packet", { [PUBLIC_OPTIONS]: annotations[PUBLIC_OPTIONS] as string }, kek, "LAYER_FORM"],
    ["no public options", { [KEY_PACKETS]: annotations[KEY_PACKETS] as string }, kek, "LAYER_FORM"],
    ["a packet that is no JSON", { ...annotations, [KEY_PACKETS]: base64(utf8("{")) }, kek, "LAYER_FORM"],
    ["another cipher", withOpen({ cipher: "AES", hmac: vector.hmac, cipheroptions: {} }), kek, "LAYER_FORM"],
    ["a short HMAC", withOpen({ cipher: CIPHER, hmac: "AAAA", cipheroptions: {} }), kek, "LAYER_FORM"],
    [
      "a short nonce",
      withOpen({ cipher: CIPHER, hmac: vector.hmac, cipheroptions: { nonce: "AAAA" } }),
      kek,
      "LAYER_FORM",
    ],
  ])("with %s are refused", (_what, given, withKek, code) => {
    expect(() => unwrapLayer(given, () => withKek)).toThrow(expect.objectContaining({ code }));
  });

  test("that are no JSON show none of their text in the error", () => {
    const { createCipheriv } = require("node:crypto");
    const cipher = createCipheriv("aes-256-gcm", kek, fromBase64(vector.iv));
    const wrapped = concat(cipher.update(utf8("SECRET-TEXT")), cipher.final(), cipher.getAuthTag());
    expect(() => unwrapLayer(withPacket({ wrapped_data: base64(wrapped) }), () => kek)).toThrow(
      expect.objectContaining({ code: "LAYER_FORM", message: expect.not.stringContaining("SECRET") }),
    );
  });
});

import { createCipheriv, createDecipheriv, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { type CompactDecryptResult, CompactEncrypt, type CompactJWEHeaderParameters, compactDecrypt } from "jose";
import { base64url, fromHex, utf8 } from "../../protocol/bytes";
import { privateKey, publicKey, rawPublic } from "../../protocol/crypto";
import { openParts, sealParts } from "../../protocol/ecdh-es";
import { openFrom, sealTo } from "../../protocol/jwe";

const seed = (fill: number) => privateKey("X25519", new Uint8Array(32).fill(fill));
const reader = seed(7);
const to = rawPublic(reader);
const context = "sealflow-release|run|name";
const secret = utf8("thirty-two bytes of a run secret");

const header = { alg: "ECDH-ES+A256KW", enc: "A256GCM", kid: to, typ: context };
const byJose = (change: object = {}, key: KeyObject = createPublicKey(reader)): Promise<string> =>
  new CompactEncrypt(secret).setProtectedHeader({ ...header, ...change } as CompactJWEHeaderParameters).encrypt(key);
const headerOf = (token: string) => Buffer.from(token.split(".")[0] ?? "", "base64url").toString();
const open = (token: string, key = reader, as = context) => openFrom(key, as, token);

describe("jose as the judge", () => {
  test.each([0, 1, 15, 16, 32, 1000, 65_537])("opens what we seal: %d bytes", async (length) => {
    const plain = new Uint8Array(length).fill(length);
    const { plaintext, protectedHeader }: CompactDecryptResult = await compactDecrypt(
      await sealTo(to, context, plain),
      reader,
    );
    expect(Buffer.from(plaintext)).toEqual(Buffer.from(plain));
    expect(protectedHeader).toEqual({ ...header, epk: { crv: "X25519", kty: "OKP", x: expect.any(String) } });
  });

  test("seals what we open, and writes the same header, member by member", async () => {
    const token = await byJose();
    expect(Buffer.from(await open(token)).toString()).toBe(Buffer.from(secret).toString());
    const blank = (text: string) => text.replace(/"x":"[^"]*"/, '"x":""');
    expect(blank(headerOf(await sealTo(to, context, secret)))).toBe(blank(headerOf(token)));
  });

  test("opens the parts of fixed keys, whose bytes are pinned", async () => {
    const mine = seed(9);
    const x = rawPublic(mine);
    const text = base64url(utf8(JSON.stringify({ ...header, epk: { crv: "X25519", kty: "OKP", x } })));
    const random = { contentKey: new Uint8Array(32).fill(1), iv: new Uint8Array(12).fill(2) };
    const parts = sealParts({ mine, theirs: publicKey("X25519", to), ...random, header: text }, secret);
    expect(parts).toMatchInlineSnapshot(`
{
  "ciphertext": "c76gOz4u7Imko5yqJdOnwYLat8-Kkf8Es6eTnhuJEQs",
  "encryptedKey": "1Dw1yjSh2jeR5yPS0pU7DSZ7K9WEWOpMf3vatruVjnbb8Y_4o1iH_w",
  "iv": "AgICAgICAgICAgIC",
  "tag": "oIJUYgg_TeZplaX9s0DVdw",
}
`);
    const token = [text, parts.encryptedKey, parts.iv, parts.ciphertext, parts.tag].join(".");
    expect((await compactDecrypt(token, reader)).plaintext).toEqual(secret);
    expect(await open(token)).toEqual(secret);
  });
});

/** The cipher as `sealParts` uses it. RFC 3394 section 4.6: 256 bits of key data under a key of 256 bits. */
test("AES key wrap is RFC 3394's", () => {
  const kek = fromHex("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
  const data = fromHex("00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f");
  const wrapped = "28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21";
  const initial = Buffer.alloc(8, 0xa6);
  expect(createCipheriv("id-aes256-wrap", kek, initial).update(data).toString("hex")).toBe(wrapped);
  expect(new Uint8Array(createDecipheriv("id-aes256-wrap", kek, initial).update(fromHex(wrapped)))).toEqual(data);
});

describe("a JWE that", () => {
  const refused = (token: string) => expect(open(token)).rejects.toMatchObject({ code: "KEY", name: "ProtocolError" });

  test("is for another key, or for another context, is refused", async () => {
    const token = await sealTo(to, context, secret);
    await expect(open(token, seed(8))).rejects.toMatchObject({ code: "KEY" });
    await expect(open(token, reader, "sealflow-release|run|other")).rejects.toMatchObject({ code: "KEY" });
    // Sealed to the reader, and says so of another; sealed to another, and says so of the reader.
    await refused(await byJose({ kid: rawPublic(seed(8)) }));
    await refused(await byJose({}, createPublicKey(seed(8))));
  });

  test("was changed in any character, or has another spelling of the same bytes, is refused", async () => {
    const token = await sealTo(to, context, secret);
    for (let at = 0; at < token.length; at++) {
      const other = token[at] === "." ? "A" : token[at] === "A" ? "B" : "A";
      await refused(token.slice(0, at) + other + token.slice(at + 1));
    }
    for (const [at, part] of token.split(".").entries()) {
      const parts = token.split(".");
      for (const other of spellings(part)) {
        parts[at] = other;
        await refused(parts.join("."));
      }
    }
  });

  /** Decoders read the same bytes from all of them. */
  const spellings = (part: string): string[] => {
    const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const free = part.length % 4 === 2 ? 16 : part.length % 4 === 3 ? 4 : 1;
    const last = alphabet.indexOf(part.at(-1) ?? "");
    const unused = Array.from({ length: free }, (_, i) => part.slice(0, -1) + alphabet[last - (last % free) + i]);
    return [...unused.filter((text) => text !== part), `${part}=`, ` ${part}`, `${part}\n`];
  };

  test.each<[string, object]>([
    ["another key agreement", { alg: "ECDH-ES" }],
    ["a shorter key wrap", { alg: "ECDH-ES+A128KW" }],
    ["another cipher", { enc: "A128GCM" }],
    ["a cipher with a MAC", { enc: "A256CBC-HS512" }],
    ["compression", { zip: "DEF" }],
    ["a member that nobody knows", { more: 1 }],
    ["a context that is no text", { typ: [context] }],
  ])("has %s in its header is refused, though jose opens it or could", async (_what, change) => {
    await refused(await byJose(change).catch(() => withHeader(change)));
  });

  /** Parts that fit a header of any kind: only the header speaks against it. */
  const withHeader = (change: object, mine = seed(9)): string => {
    const epk = { crv: "X25519", kty: "OKP", x: rawPublic(mine) };
    const text = base64url(utf8(JSON.stringify({ ...header, epk, ...change })));
    const random = { contentKey: new Uint8Array(32).fill(1), iv: new Uint8Array(12).fill(2) };
    const p = sealParts({ mine, theirs: publicKey("X25519", to), ...random, header: text }, secret);
    return [text, p.encryptedKey, p.iv, p.ciphertext, p.tag].join(".");
  };

  test("has the one header is opened, so what the next cases change is why they are refused", async () => {
    expect(await open(withHeader({}))).toEqual(secret);
  });

  const x = rawPublic(seed(9));
  test.each<[string, object]>([
    ["what readers must understand", { crit: ["exp"], exp: 1 }],
    ["party information of the sender", { apu: "AA" }],
    ["party information of the reader", { apv: "AA" }],
    ["compression", { zip: "DEF" }],
    ["no algorithm", { alg: undefined }],
    ["no ephemeral key", { epk: undefined }],
    ["an ephemeral key of another curve", { epk: { crv: "P-256", kty: "OKP", x } }],
    ["an ephemeral key of another type", { epk: { crv: "X25519", kty: "EC", x } }],
    ["a private half beside the ephemeral key", { epk: { crv: "X25519", kty: "OKP", x, d: x } }],
    ["an ephemeral key that is too short", { epk: { crv: "X25519", kty: "OKP", x: x.slice(0, 42) } }],
    ["a second spelling of its ephemeral key", { epk: { crv: "X25519", kty: "OKP", x: `${x.slice(0, 42)}B` } }],
    ["a list for a header", []],
  ])("has %s is refused", async (_what, change) => {
    const token = Array.isArray(change)
      ? withHeader({}).replace(/^[^.]+/, base64url(utf8(JSON.stringify([header]))))
      : withHeader(change);
    expect(token).not.toBe(withHeader({}));
    await refused(token);
  });

  test("is short of a part, has one more, or is no text of parts at all, is refused", async () => {
    const token = withHeader({});
    const parts = token.split(".");
    for (let n = 0; n < 5; n++) await refused(parts.slice(0, n).join("."));
    await refused(`${token}.`);
    await refused("....");
    await refused(`${parts[0]}....`);
  });

  test.each<[string, number, number]>([
    ["an encrypted key", 1, 40],
    ["an IV", 2, 12],
    ["a tag", 4, 16],
  ])("has %s of another length is refused", async (_what, at, length) => {
    const parts = withHeader({}).split(".");
    const bytes = Buffer.from(parts[at] ?? "", "base64url");
    expect(bytes.length).toBe(length);
    for (const other of [
      bytes.subarray(0, length - 1),
      Buffer.concat([bytes, bytes.subarray(0, 8)]),
      bytes.subarray(0, 4),
    ]) {
      parts[at] = other.toString("base64url");
      await refused(parts.join("."));
    }
  });
});

/** Points of small order (RFC 7748 section 6.1): with them the secret is zero, whatever the reader's key. */
test.each([
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
  "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
])("an ephemeral key that makes the shared secret zero (%s) is refused, to seal and to open", async (point) => {
  const x = base64url(fromHex(point));
  const bad = publicKey("X25519", x);
  const random = { contentKey: new Uint8Array(32).fill(1), iv: new Uint8Array(12).fill(2), header: "e30" };
  expect(() => sealParts({ mine: reader, theirs: bad, ...random }, secret)).toThrow();
  const parts = {
    encryptedKey: base64url(new Uint8Array(40)),
    iv: base64url(random.iv),
    ciphertext: "",
    tag: base64url(new Uint8Array(16)),
  };
  expect(() => openParts(reader, bad, "e30", parts)).toThrow(/secret|derivation|fail/i);
  await expect(sealTo(x, context, secret)).rejects.toThrow();
});

test("a key of another curve neither seals nor opens", async () => {
  const { privateKey: other } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  await expect(open(await sealTo(to, context, secret), other)).rejects.toMatchObject({ code: "KEY" });
  await expect(sealTo("AAAA", context, secret)).rejects.toMatchObject({ code: "KEY" });
});

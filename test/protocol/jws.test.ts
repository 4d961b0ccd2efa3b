import { generateKeyPairSync, sign } from "node:crypto";
import { privateKey, publicKey, rawPublic } from "../../protocol/crypto";
import { jwsDigest, openJws, signJws, verifyJws } from "../../protocol/jws";
import { integer, object, record } from "../../protocol/shape";

const key = privateKey("Ed25519", new Uint8Array(32).fill(7));
const verifier = publicKey("Ed25519", rawPublic(key));
const shape = object({ n: integer(0, 10) });
const read = (token: string) => verifyJws("sealflow-run+jwt", token, verifier, shape);

test("no other text verifies: not even one whose signature differs in unused base64 bits alone", async () => {
  const token = await signJws("sealflow-run+jwt", { n: 1 }, key);
  expect(await read(token)).toEqual({ n: 1 });
  const digests = new Set([jwsDigest(token)]);
  for (let at = 0; at < token.length; at++) {
    for (const other of "AEIQgwBx_-") {
      if (token[at] === other) continue;
      const changed = token.slice(0, at) + other + token.slice(at + 1);
      digests.add(jwsDigest(changed));
      await expect(read(changed)).rejects.toMatchObject({ name: "ProtocolError" });
    }
  }
  expect(digests.size).toBeGreaterThan(token.length);
});

test("a message of another type, or with another key, is refused", async () => {
  const token = await signJws("sealflow-cancel+jwt", { n: 1 }, key);
  await expect(read(token)).rejects.toMatchObject({ code: "TYPE" });
  const stranger = privateKey("Ed25519", new Uint8Array(32).fill(8));
  await expect(read(await signJws("sealflow-run+jwt", { n: 1 }, stranger))).rejects.toMatchObject({
    code: "SIGNATURE",
  });
});

test("a signed message of another shape is refused, with the place", async () => {
  const token = await signJws("sealflow-run+jwt", { n: 11, m: 1 }, key);
  await expect(read(token)).rejects.toMatchObject({ code: "SHAPE", message: expect.stringMatching(/"m".*\.n:/s) });
});

describe("a signature over a header that no message of ours has", () => {
  const signed = (header: object, tail = "") => {
    const text = [header, { n: 1 }].map((part) => Buffer.from(JSON.stringify(part)).toString("base64url")).join(".");
    return `${text}.${sign(null, Buffer.from(text), key).toString("base64url")}${tail}`;
  };
  const header = { alg: "EdDSA", typ: "sealflow-run+jwt" };

  test("the header itself verifies, also with fields that change nothing", async () => {
    expect(await read(signed(header))).toEqual({ n: 1 });
    expect(await read(signed({ ...header, kid: "x" }))).toEqual({ n: 1 });
  });

  test.each<[string, string, string]>([
    ["another algorithm", signed({ ...header, alg: "none" }), "SIGNATURE"],
    ["an algorithm for another kind of key", signed({ ...header, alg: "HS256" }), "SIGNATURE"],
    ["what readers must understand", signed({ ...header, crit: ["exp"], exp: 1 }), "SIGNATURE"],
    ["an unencoded payload", signed({ ...header, b64: false }), "SIGNATURE"],
    ["a fourth part", signed(header, ".e30"), "SHAPE"],
    ["no type", signed({ alg: "EdDSA" }), "TYPE"],
    ["a list for a header", signed([header]), "SHAPE"],
  ])("%s is refused", async (_what, token, code) => {
    await expect(read(token)).rejects.toMatchObject({ code });
  });

  test("a key of another kind verifies nothing", async () => {
    const { publicKey: other } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    await expect(verifyJws("sealflow-run+jwt", signed(header), other, shape)).rejects.toMatchObject({
      code: "SIGNATURE",
    });
  });
});

describe("a message that says with which key to verify it", () => {
  const type = "sealflow-claim+jwt";

  test("is given out by `verify` as it was read, with its own key only", async () => {
    const opened = openJws(type, await signJws(type, { n: 1 }, key), shape);
    expect(opened.unverified).toEqual({ n: 1 });
    expect(await opened.verify(verifier)).toEqual({ n: 1 });
    const stranger = publicKey("Ed25519", rawPublic(privateKey("Ed25519", new Uint8Array(32).fill(8))));
    await expect(opened.verify(stranger)).rejects.toMatchObject({ code: "SIGNATURE" });
  });

  test("is refused for its type and shape before it is verified", async () => {
    const other = await signJws("sealflow-run+jwt", { n: 1 }, key);
    await expect(openJws(type, other, shape).verify(verifier)).rejects.toMatchObject({ code: "TYPE" });
    const large = await signJws(type, { n: 11 }, key);
    expect(() => openJws(type, large, shape)).toThrow(/n:/);
    const behind = `${await signJws(type, { n: 1 }, key)}~e30`;
    expect(() => openJws(type, behind, shape)).toThrow(/rows/);
  });

  test("with a table has its rows proven, too", async () => {
    const rows = object({ parameters: record(/^[a-z]$/, integer(0, 10)) });
    const token = await signJws("sealflow-run+jwt", { parameters: { a: 1, b: 2 } }, key);
    expect(await openJws("sealflow-run+jwt", token, rows).verify(verifier)).toEqual({ parameters: { a: 1, b: 2 } });
    const [signed = ""] = token.split("~");
    const forged = `${signed}~${Buffer.from('{"all":{"a":1,"b":3}}').toString("base64url")}`;
    const opened = openJws("sealflow-run+jwt", forged, rows);
    expect(opened.unverified).toEqual({ parameters: { a: 1, b: 3 } });
    await expect(opened.verify(verifier)).rejects.toMatchObject({ code: "SIGNATURE" });
  });
});

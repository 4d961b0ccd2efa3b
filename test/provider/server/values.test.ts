import { Struct } from "google-protobuf/google/protobuf/struct_pb";
import {
  fromStruct,
  hasUnknown,
  plain,
  Secret,
  sameValue,
  secret,
  toStruct,
  UNKNOWN,
} from "../../../provider/server/values";

const SIGNATURE = "4dabf18193072939515e22adb298388d";
const SECRET = "1b47061264138c4ac30d75fd1eb44270";
const OUTPUT = "d0e6a833031e9bbcd3f4e8bde6ca49a4";
const ASSET = "c44067f5952c0a294b673a41bacd8c17";
const UNKNOWN_TEXT = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

const wire = (fields: object) => Struct.fromJavaScript(fields as never);

describe("property values from the engine", () => {
  it("keep nested secrets and unknowns apart from plain values", () => {
    const values = fromStruct(
      wire({ a: 1, list: [true, null, UNKNOWN_TEXT], map: { key: { [SIGNATURE]: SECRET, value: { deep: "x" } } } }),
    );
    expect(values.a).toBe(1);
    expect(values.list).toEqual([true, null, UNKNOWN]);
    const { key } = values.map as { key: Secret };
    expect(key).toBeInstanceOf(Secret);
    expect(plain(key)).toEqual({ deep: "x" });
  });

  it("read an output value: unknown without a value, secret when marked", () => {
    const values = fromStruct(
      wire({
        unknown: { [SIGNATURE]: OUTPUT },
        hidden: { [SIGNATURE]: OUTPUT, value: "v", secret: true, dependencies: ["urn"] },
      }),
    );
    expect(values.unknown).toBe(UNKNOWN);
    expect(values.hidden).toEqual(secret("v"));
  });

  it("refuse an asset instead of storing its content", () => {
    const asset = { [SIGNATURE]: ASSET, text: "content" };
    expect(() => fromStruct(wire({ file: asset }))).toThrow(/properties\.file: assets.*pass a path/);
  });

  it("come back as they were sent", () => {
    const values = { s: secret({ inner: UNKNOWN, n: 1.5 }), u: UNKNOWN, l: [secret("x"), null] };
    expect(fromStruct(toStruct(values))).toEqual(values);
  });

  it("leave out fields that are undefined", () => {
    expect(toStruct({ a: undefined as never, b: 1 }).toJavaScript()).toEqual({ b: 1 });
  });
});

describe("a secret", () => {
  it("does not show in JSON or text", () => {
    const value = { key: secret("top") };
    expect(JSON.stringify(value)).toBe('{"key":"[secret]"}');
    expect(`${value.key}`).toBe("[secret]");
  });

  it("is wrapped once", () => {
    expect(secret(secret("x"))).toEqual(new Secret("x"));
  });
});

describe("plain", () => {
  it("refuses an unknown and names the place, through secrets too", () => {
    expect(() => plain({ a: [secret({ b: UNKNOWN })] })).toThrow("properties.a[0].b: not known yet");
  });
});

describe("comparison", () => {
  it("looks through secrets, but an unknown equals nothing", () => {
    expect(sameValue({ a: secret("x") }, { a: "x" })).toBe(true);
    expect(sameValue(UNKNOWN, UNKNOWN)).toBe(false);
    expect(sameValue([1, secret(UNKNOWN)], [1, secret(UNKNOWN)])).toBe(false);
    expect(sameValue({ a: 1 }, { a: 1, b: 2 })).toBe(false);
    expect(sameValue([1], { 0: 1 })).toBe(false);
  });

  it("finds unknowns at any depth", () => {
    expect(hasUnknown({ a: [{ b: secret([UNKNOWN]) }] })).toBe(true);
    expect(hasUnknown({ a: [{ b: secret([null]) }] })).toBe(false);
  });
});

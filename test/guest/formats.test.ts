import { crc32, deflateSync } from "node:zlib";
import fc from "fast-check";
import { checkerFor, FormatError } from "../../guest/formats";
import type { Format } from "../../protocol/formats";

/** Whole, and byte by byte: both must agree. @returns "ok" or the message. */
function check(format: Format, content: Uint8Array | string, allowUnsafe = false): string {
  const bytes = Buffer.from(content as string);
  const verdict = (pieces: Iterable<Buffer>): string => {
    const checker = checkerFor(format, allowUnsafe);
    try {
      for (const piece of pieces) checker.write(piece);
      checker.end();
      return "ok";
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      return error.message;
    }
  };
  const whole = verdict([bytes]);
  const single = verdict(Array.from(bytes, (_, i) => bytes.subarray(i, i + 1)));
  expect(single === "ok").toBe(whole === "ok");
  return whole;
}

describe("json", () => {
  test("accepts what JSON.parse accepts and refuses what it refuses", () => {
    const mutated = fc
      .tuple(
        fc.json(),
        fc.nat(),
        fc.constantFrom("", "{", "}", "[", "]", ",", ":", '"', "\\", "e", ".", "-", "0", "\u0001", " ", "t"),
      )
      .map(([text, at, insert]) => text.slice(0, at % (text.length + 1)) + insert + text.slice(at % (text.length + 1)));
    fc.assert(
      fc.property(
        fc.oneof(fc.json(), mutated, fc.string({ unit: fc.constantFrom(...'{}[]:,"\\u0a1e-+. tfn') })),
        (text) => {
          let expected = true;
          try {
            JSON.parse(text);
          } catch {
            expected = false;
          }
          expect(check("json", text) === "ok").toBe(expected);
        },
      ),
      { numRuns: 2000 },
    );
  });
  test.each([
    ["nesting that breaks recursive parsers", "[".repeat(600) + "]".repeat(600), /nested deeper/],
    ["bytes that are not UTF-8", Buffer.from([0x22, 0xff, 0x22]), /UTF-8/],
    ["nothing", "", /ends before/],
  ])("refuses %s", (_what, content, message) => {
    expect(check("json", content)).toMatch(message);
  });
});

test.each([
  ['{"a":1}\n\n[2]\n"x"', "ok"],
  ["", "ok"],
  ['{"a":1}\n{"a":', "line 2 is not one JSON value"],
  ["1 2\n", "JSON has something after a value"],
  ['{"a":\n1}', "line 1 is not one JSON value"],
  ['"a\nb"', "line 1 is not one JSON value"],
])("jsonl %j: %s", (content, expected) => {
  expect(check("jsonl", content)).toBe(expected);
});

test.each([
  ['a,b\r\n"x ""y"" , z",2\n', "ok"],
  ['a,"b', "CSV ends inside a quoted field"],
  ['"a"b,c', "CSV has text after a closing quote"],
  ["a\0b", "text has a NUL byte"],
])("csv %j: %s", (content, expected) => {
  expect(check("csv", content)).toBe(expected);
});

describe("npy", () => {
  const npy = (header: string, data: Buffer, version = 1) => {
    const text = Buffer.from(`${header}\n`, "latin1");
    const length = Buffer.alloc(version === 1 ? 2 : 4);
    if (version === 1) length.writeUInt16LE(text.length);
    else length.writeUInt32LE(text.length);
    return Buffer.concat([Buffer.from([0x93]), Buffer.from("NUMPY"), Buffer.from([version, 0]), length, text, data]);
  };
  const header = (descr: string, shape = "(2, 3)") =>
    `{'descr': ${descr}, 'fortran_order': False, 'shape': ${shape}, }`;
  test.each([
    ["floats", header("'<f8'"), 48],
    ["text", header("'<U5'"), 120],
    ["a scalar", header("'|b1'", "()"), 1],
    ["an empty array", header("'<i4'", "(0, 7)"), 0],
    ["records", header("[('a', '<f4'), ('b', '<i8', (2,)), (('title', 'c'), '|S3')]", "(1,)"), 23],
    ["times", header("'<M8[ns]'", "(2,)"), 16],
  ])("accepts %s", (_what, text, size) => {
    expect(check("npy", npy(text, Buffer.alloc(size)))).toBe("ok");
    expect(check("npy", npy(text, Buffer.alloc(size), 2))).toBe("ok");
    expect(check("npy", npy(text, Buffer.alloc(size + 1)))).toMatch(/after its elements/);
    if (size > 0) expect(check("npy", npy(text, Buffer.alloc(size - 1)))).toMatch(/cut off/);
  });
  test.each([
    ["objects", "'|O'"],
    ["objects without byte order", "'O'"],
    ["objects in a record", "[('a', '<f4'), ('b', [('c', '|O')])]"],
  ])("refuses %s unless the edge allows them", (_what, descr) => {
    const file = npy(header(descr), Buffer.from("pickle"));
    expect(check("npy", file)).toMatch(/Python objects/);
    expect(check("npy", file, true)).toBe("ok");
  });
  test.each([
    ["code", "__import__('os').system('x')"],
    ["another key", "{'descr': '<f8', 'fortran_order': False, 'shape': (1,), 'x': 1}"],
    ["an unknown type", header("'<Q9'")],
    ["an escaped quote", header("'<f\\x38'")],
    ["endless nesting", header(`${"[".repeat(99)}${"]".repeat(99)}`)],
  ])("refuses a header with %s", (_what, text) => {
    expect(check("npy", npy(text, Buffer.alloc(48)))).toMatch(/npy has/);
  });
});

describe("png", () => {
  const chunk = (type: string, data: Buffer) => {
    const body = Buffer.concat([Buffer.from(type), data]);
    const ends = Buffer.alloc(8);
    ends.writeUInt32BE(data.length, 0);
    ends.writeUInt32BE(crc32(body), 4);
    return Buffer.concat([ends.subarray(0, 4), body, ends.subarray(4)]);
  };
  const head = Buffer.from([0, 0, 0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 0]);
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  const good = Buffer.concat([
    signature,
    chunk("IHDR", head),
    chunk("IDAT", deflateSync(Buffer.from([0, 7]))),
    chunk("IEND", Buffer.alloc(0)),
  ]);
  test("accepts an image, and refuses it with any one byte changed, cut off or added", () => {
    expect(check("png", good)).toBe("ok");
    for (let i = 0; i < good.length; i++) {
      const bad = Buffer.from(good);
      bad[i] = (bad[i] as number) ^ 0x10;
      expect(check("png", bad)).not.toBe("ok");
      expect(check("png", good.subarray(0, i))).not.toBe("ok");
    }
    expect(check("png", Buffer.concat([good, Buffer.from("x")]))).toMatch(/after its end/);
  });
  test("refuses one without pixels or data", () => {
    const empty = Buffer.from(head);
    empty[3] = 0;
    const parts = [chunk("IDAT", Buffer.from([1])), chunk("IEND", Buffer.alloc(0))];
    expect(check("png", Buffer.concat([signature, chunk("IHDR", empty), ...parts]))).toMatch(/no pixels/);
    expect(check("png", Buffer.concat([signature, chunk("IHDR", head), parts[1] as Buffer]))).toMatch(/no image data/);
  });
});

describe("safetensors", () => {
  const file = (header: unknown, size: number) => {
    const text = Buffer.from(typeof header === "string" ? header : JSON.stringify(header));
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(text.length));
    return Buffer.concat([length, text, Buffer.alloc(size)]);
  };
  const tensor = (from: number, to: number, shape: number[], dtype = "F32") => ({
    dtype,
    shape,
    data_offsets: [from, to],
  });
  test("accepts tensors that fill the file", () => {
    const header = { __metadata__: { format: "pt" }, b: tensor(24, 28, [2], "BF16"), a: tensor(0, 24, [2, 3]) };
    expect(check("safetensors", file(header, 28))).toBe("ok");
    expect(check("safetensors", file(header, 27))).toMatch(/cut off/);
    expect(check("safetensors", file(header, 29))).toMatch(/after its tensors/);
    expect(check("safetensors", file({}, 0))).toBe("ok");
  });
  test.each([
    ["an overlap", { a: tensor(0, 8, [2]), b: tensor(4, 12, [2]) }, 12, /gaps or overlaps/],
    ["a gap", { a: tensor(4, 12, [2]) }, 12, /gaps or overlaps/],
    ["another size than its shape", { a: tensor(0, 12, [2]) }, 12, /not that of its shape/],
    ["an unknown type", { a: tensor(0, 8, [1], "OBJ") }, 8, /known type/],
    ["a negative place", { a: tensor(-4, 4, [2]) }, 4, /malformed/],
    ["no JSON", "{pickle", 0, /not a JSON object/],
  ])("refuses %s", (_what, header, size, message) => {
    expect(check("safetensors", file(header, size))).toMatch(message);
  });
  test("refuses a header length that would fill the memory", () => {
    expect(check("safetensors", Buffer.from("ffffffffffffff7f", "hex"))).toMatch(/impossible header length/);
  });
});

test.each([
  ["parquet", "PAR1", "PAR1"],
  ["arrow", "ARROW1\0\0", "ARROW1"],
] as const)("%s: both ends and the footer", (format, head, tail) => {
  const file = (footer: number, start: string = head, end: string = tail) => {
    const length = Buffer.alloc(4);
    length.writeInt32LE(footer);
    return Buffer.concat([Buffer.from(start), Buffer.alloc(20), length, Buffer.from(end)]);
  };
  expect(check(format, file(12))).toBe("ok");
  expect(check(format, file(21))).toMatch(/longer than itself/);
  expect(check(format, file(-1))).toMatch(/longer than itself/);
  expect(check(format, file(12, "XXXX"))).toMatch(/first bytes/);
  expect(check(format, file(12, head, "PARE"))).not.toBe("ok");
  expect(check(format, head)).toMatch(/cut off/);
});

describe("onnx", () => {
  const varint = (n: number): number[] => (n < 128 ? [n] : [(n & 127) | 128, ...varint(Math.floor(n / 128))]);
  const field = (n: number, value: number | Buffer): Buffer =>
    typeof value === "number"
      ? Buffer.from([...varint(n * 8), ...varint(value)])
      : Buffer.concat([Buffer.from([...varint(n * 8 + 2), ...varint(value.length)]), value]);
  const tensor = (...more: Buffer[]) =>
    Buffer.concat([field(1, 2), field(8, Buffer.from("w")), field(9, Buffer.alloc(300)), ...more]);
  const model = (graph: Buffer) =>
    Buffer.concat([field(1, 9), field(2, Buffer.from("test")), field(7, graph), field(8, Buffer.from([0x10, 17]))]);
  const inNode = (t: Buffer) => field(1, field(5, field(5, t)));
  test("accepts a model whose tensors are inside", () => {
    expect(check("onnx", model(Buffer.concat([field(5, tensor()), inNode(tensor(field(14, 0)))])))).toBe("ok");
  });
  test.each([
    ["an initialiser with external data", model(field(5, tensor(field(13, Buffer.from("location")))))],
    ["an initialiser that says it is external", model(field(5, tensor(field(14, 1))))],
    ["an attribute with external data", model(inNode(tensor(field(14, 1))))],
    ["a subgraph with external data", model(field(1, field(5, field(6, field(5, tensor(field(14, 1)))))))],
  ])("refuses %s", (_what, file) => {
    expect(check("onnx", file)).toMatch(/other files/);
  });
  test("refuses what is cut off, longer than its message, or something else", () => {
    const whole = model(field(5, tensor()));
    expect(check("onnx", whole.subarray(0, whole.length - 300))).not.toBe("ok");
    expect(check("onnx", Buffer.concat([field(1, 9), Buffer.from([7 * 8 + 2, 5, 5 * 8 + 2, 9, 1, 1, 1])]))).toMatch(
      /longer than its message/,
    );
    expect(check("onnx", "not a model")).not.toBe("ok");
    expect(check("onnx", field(1, 9))).toMatch(/no version or graph/);
    expect(check("onnx", Buffer.alloc(4000, 0x3a))).not.toBe("ok");
  });
});

describe("tar", () => {
  const member = (
    name: string,
    content: Buffer | string = "",
    type = "0",
    size?: number,
    change: (header: Buffer) => void = () => {},
  ): Buffer => {
    const body = Buffer.from(content as string);
    const h = Buffer.alloc(512);
    h.write(name, 0, 100);
    h.write("0000644\0", 100);
    h.write(`${(size ?? body.length).toString(8).padStart(11, "0")}\0`, 124);
    h.write("        ", 148);
    h.write(type, 156);
    h.write("ustar\u000000", 257);
    change(h);
    h.write(
      `${h
        .reduce((a, b) => a + b, 0)
        .toString(8)
        .padStart(6, "0")}\0 `,
      148,
    );
    return Buffer.concat([h, body, Buffer.alloc((512 - (body.length % 512)) % 512)]);
  };
  const pax = (...records: string[]) =>
    member(
      "pax",
      records
        .map((r) => {
          let length = r.length + 3;
          while (`${length} ${r}\n`.length !== length) length = `${length} ${r}\n`.length;
          return `${length} ${r}\n`;
        })
        .join(""),
      "x",
    );
  const tar = (...members: Buffer[]) => Buffer.concat([...members, Buffer.alloc(1024)]);

  test("accepts files and folders, each checked by its ending", () => {
    expect(check("tar", tar(member("a/", "", "5"), member("a/x.json", "{}"), member("a/notes", "text")))).toBe("ok");
    expect(check("tar", tar(pax(`path=${"long/".repeat(40)}x.json`), member("short", "[1]")))).toBe("ok");
    expect(check("tar", tar(member("././@LongLink", `${"b".repeat(150)}.json\0`, "L"), member("b", "{}")))).toBe("ok");
    expect(check("tar", tar())).toBe("ok");
  });
  test.each([
    ["a symbolic link", tar(member("a", "", "2")), /neither file nor folder/],
    ["a hard link", tar(member("a", "", "1")), /neither file nor folder/],
    ["a device", tar(member("a", "", "3")), /neither file nor folder/],
    ["a pipe", tar(member("a", "", "6")), /neither file nor folder/],
    ["a pax link", tar(pax("linkpath=/etc/passwd"), member("a")), /link/],
    ["an absolute name", tar(member("/etc/passwd", "x")), /outside/],
    ["a name that leaves", tar(member("a/../../b", "x")), /outside/],
    ["a pax name that leaves", tar(pax("path=../x"), member("a", "x")), /outside/],
    ["a broken checksum", Buffer.concat([Buffer.from("x"), tar(member("a", "x")).subarray(1)]), /checksum/],
    ["no end", member("a", "x"), /cut off/],
    ["something after the end", Buffer.concat([tar(), Buffer.from("x")]), /after its end/],
    ["a broken member", tar(member("a.json", "{")), /JSON ends/],
  ])("refuses %s, also when unsafe formats are allowed", (_what, file, message) => {
    expect(check("tar", file)).toMatch(message);
    expect(check("tar", file, true)).toMatch(message);
  });
  // Each was read by Python's tarfile as another name, or with a member that the check never saw.
  const longName = (name: string) => member("././@LongLink", `${name}\0`, "L");
  const changed = (name: string, type: string, change: (header: Buffer) => void) =>
    member(name, "text", type, undefined, change);
  test.each([
    [
      "a prefix where GNU's own variant has none",
      changed("passwd", "0", (h) => void h.fill("ustar  \0", 257, 265).write("../../etc", 345)),
      /two ways/,
    ],
    [
      "a prefix in a header without a magic",
      changed("a", "0", (h) => void h.fill(0, 257, 265).write("b", 345)),
      /neither of POSIX nor of GNU/,
    ],
    ["a version of other digits", changed("a", "0", (h) => void h.write("11", 263)), /neither of POSIX nor of GNU/],
    ["a name that is not UTF-8", changed("a", "0", (h) => void h.fill(0xff, 1, 2)), /not UTF-8/],
    ["a long name with a zero byte inside", Buffer.concat([longName("a.csv\0/b"), member("c", "x")]), /zero byte/],
    ["an empty long name", Buffer.concat([longName(""), member("c", "x")]), /empty long name/],
    ["a sparse file", Buffer.concat([pax("GNU.sparse.major=1"), member("c", "x")]), /sparse file/],
    [
      "a header for all that follow",
      Buffer.concat([member("g", "12 path=ok.c\n", "g"), member("c", "x")]),
      /of a type/,
    ],
    ["a long link", Buffer.concat([member("././@LongLink", "/etc\0", "K"), member("c", "x")]), /link/],
    ["a file with a folder's name", member("a.csv/", "x"), /two ways/],
    ["one of the oldest type", changed("x/", "\0", () => {}), /two ways/],
    ["the same, renamed", Buffer.concat([pax("path=a.csv"), changed("x/", "\0", () => {})]), /two ways/],
    ["two long names", Buffer.concat([longName("a.csv"), longName("b.csv"), member("c", "x")]), /two ways/],
    [
      "a long name and a pax name",
      Buffer.concat([longName("../a.csv"), pax("path=b.csv"), member("c", "x")]),
      /two ways/,
    ],
    ["two pax names", Buffer.concat([pax("path=a.csv", "path=b.csv"), member("c", "x")]), /two ways/],
    ["two pax sizes", Buffer.concat([pax("size=1", "size=1"), member("c", "x")]), /two ways/],
    [
      "a pax length that is no plain number",
      Buffer.concat([member("p", "1.8e1 path=ok.csv\n", "x"), member("../c", "x")]),
      /malformed/,
    ],
    [
      "a pax record without its line feed",
      Buffer.concat([member("p", "15 path=ok.csv ", "x"), member("../c", "x")]),
      /malformed/,
    ],
    [
      "a size in base 256 with another mark",
      changed("c", "0", (h) => void h.fill(0, 124, 136).fill(0x81, 124, 125).fill(4, 135, 136)),
      /size is no number/,
    ],
  ])("refuses %s", (_what, file, message) => {
    expect(check("tar", tar(file))).toMatch(message);
    expect(check("tar", tar(file), true)).toMatch(message);
  });
  test("what is refused is told without a byte of the archive", () => {
    const record = Buffer.concat([pax("SECRET=1", "SECRET=2"), member("c", "x")]);
    expect(check("tar", tar(record))).toMatch(/two ways/);
    expect(check("tar", tar(record))).not.toMatch(/SECRET/);
  });
  test("a pickle in letters is refused by its name, unless the edge allows it", () => {
    // pickle.dumps(…, 0) of an object whose __reduce__ is (os.system, ("id",)).
    const pickle = "cposix\nsystem\np0\n(Vid\np1\ntp2\nRp3\n.";
    for (const name of ["model.pkl", "MODEL.PICKLE", "a/model.joblib", "model.pt", "pytorch_model.bin"]) {
      expect(check("tar", tar(member(name, pickle)))).toMatch(/unpickling/);
      expect(check("tar", tar(member(name, pickle)), true)).toBe("ok");
    }
  });
  test("a pickle among the members is refused, whatever its name, unless the edge allows it", () => {
    const pickle = Buffer.from("800495", "hex");
    for (const name of ["model.pkl", "model", "model.txt"]) {
      expect(check("tar", tar(member(name, pickle)))).not.toBe("ok");
    }
    expect(check("tar", tar(member("model.pkl", pickle)), true)).toBe("ok");
    expect(check("tar", tar(member("a.npy", pickle)), true)).not.toBe("ok");
  });
});

test("bytes takes anything", () => {
  expect(check("bytes", Buffer.from([0, 255, 0x80]))).toBe("ok");
});

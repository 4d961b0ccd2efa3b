import { pathText, quoted } from "../../protocol/quoted";

test.each([
  ["plain", '"plain"'],
  ['a"b\\', '"a\\"b\\\\"'],
  ["line\nend\r\t", '"line\\nend\\r\\t"'],
  ["\u001b]0;title\u0007\u009b2J\u007f", '"\\u001b]0;title\\u0007\\u009b2J\\u007f"'],
  ["a\u202eb\u2066c\u200fd\u061c\u2028", '"a\\u202eb\\u2066c\\u200fd\\u061c\\u2028"'],
  ["grüße 文", '"grüße 文"'],
])("%j is quoted on one line, and means the same", (text, shown) => {
  expect(quoted(text)).toBe(shown);
  expect(JSON.parse(quoted(text))).toBe(text);
});

test("what is long is cut, and says so in a path", () => {
  expect(quoted("x".repeat(300))).toHaveLength(202);
  expect(pathText("x".repeat(10), 5)).toBe("xxxxx…");
});

test.each([
  ["steps/one two/main.js", "steps/one two/main.js"],
  ["grüße", "grüße"],
  ["", '""'],
  [" space", '" space"'],
  ['say "x"', '"say \\"x\\""'],
  ["a\u202eb", '"a\\u202eb"'],
])("the path %j stays as it is where it can", (text, shown) => {
  expect(pathText(text)).toBe(shown);
});

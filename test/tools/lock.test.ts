import { readFileSync } from "node:fs";
import { join } from "node:path";
import { packageRoot } from "../../cli/engine";

interface Lock {
  packages: Record<string, object>;
}
const { missing, complete } = require("../../tools/lock.js") as {
  missing: (lock: Lock) => object[];
  complete: (lock: Lock) => Lock;
};

test("package-lock.json locks every optional package, else npm ci refuses it (mend: node tools/lock.js)", () => {
  expect(missing(JSON.parse(readFileSync(join(packageRoot(), "package-lock.json"), "utf8")))).toEqual([]);
});

const tool = { version: "1.0.0", dev: true, optionalDependencies: { "tool-linux-x64-musl": "1.0.0" } };

test("a missing entry is written with the platform in its name", () => {
  const lock = complete({ packages: { "": {}, "node_modules/tool": tool } });
  expect(lock.packages["node_modules/tool-linux-x64-musl"]).toEqual({
    version: "1.0.0",
    cpu: ["x64"],
    dev: true,
    libc: ["musl"],
    optional: true,
    os: ["linux"],
  });
});

test("an optional package of no platform is not guessed", () => {
  const lock = { packages: { "node_modules/tool": { optionalDependencies: { extra: "^2.0.0" } } } };
  expect(() => complete(lock)).toThrow("extra@^2.0.0");
});

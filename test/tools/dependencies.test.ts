import { readFileSync } from "node:fs";
import { join } from "node:path";
import { packageRoot } from "../../cli/engine";

test("docs/dependencies.md has a line for every package that package.json names", () => {
  const manifest = JSON.parse(readFileSync(join(packageRoot(), "package.json"), "utf8"));
  const text = readFileSync(join(packageRoot(), "docs", "dependencies.md"), "utf8");
  const groups = ["dependencies", "peerDependencies", "optionalDependencies", "devDependencies"];
  const names = groups.flatMap((group) => Object.keys(manifest[group] ?? {}));
  expect(names.length).toBeGreaterThan(20);
  const unlisted = names.filter((name) => !name.startsWith("@types/") && !text.includes(`\`${name}\``));
  expect(unlisted).toEqual([]);
});

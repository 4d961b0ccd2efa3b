import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { packageRoot } from "../../cli/engine";

interface Problem {
  file: string;
  line: number;
  imports: string;
  why: string;
}
const { checkImports } = require("../../tools/imports.js") as {
  checkImports: (root: string) => { files: number; problems: Problem[] };
};

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "sealflow-imports-"));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function problemsOf(file: string, text: string): Problem[] {
  mkdirSync(dirname(join(root, file)), { recursive: true });
  writeFileSync(join(root, file), text);
  const result = checkImports(root);
  expect(result.files).toBe(1);
  return result.problems;
}

test("this project's own imports all go the right way", () => {
  const { files, problems } = checkImports(packageRoot());
  expect(files).toBeGreaterThan(10);
  expect(problems).toEqual([]);
});

describe("an import against the direction is refused", () => {
  it.each([
    ["the guest reading owner code", "guest/main.ts", `import { x } from "../owner/keys";`],
    ["the guest using a library", "guest/main.ts", `import { SignJWT } from "jose";`],
    ["the protocol reading files", "protocol/a.ts", `import { readFileSync } from "node:fs";`],
    ["the protocol reading files by the short name", "protocol/a.ts", `import { readFileSync } from "fs";`],
    ["the protocol using another library", "protocol/a.ts", `import x from "tar-stream";`],
    ["the untrusted node opening owner code", "untrusted/node/a.ts", `const x = require("../../owner/keys");`],
    [
      "the relying party loading untrusted code late",
      "relying-party/a.ts",
      `const x = await import("../untrusted/a");`,
    ],
    ["components doing cryptography", "components/a.ts", `import { createHash } from "node:crypto";`],
    ["the command line using components", "cli/a.ts", `export { x } from "../components/pipeline";`],
    ["a type of a forbidden folder", "model/a.ts", `import type { X } from "../provider/main";`],
    ["the provider using the ledger service", "provider/a.ts", `import { x } from "../relying-party/ledger/service";`],
    ["the owner using Pulumi", "owner/a.ts", `import * as pulumi from "@pulumi/pulumi";`],
    ["a product folder using a test", "owner/a.ts", `import { x } from "../test/helpers";`],
    ["a product folder using its own package by name", "cli/a.ts", `import { x } from "sealflow";`],
    ["a cloud's SDK by its root", "components/azure/a.ts", `import * as azure from "@pulumi/azure-native";`],
    [
      "a cloud's SDK in another cloud's folder",
      "components/aws/a.ts",
      `import * as n from "@pulumi/azure-native/network";`,
    ],
    [
      "a cloud's SDK in what every program loads",
      "components/options.ts",
      `import type { Vpc } from "@pulumi/aws/ec2";`,
    ],
    ["a path out of the project", "owner/a.ts", `import { x } from "../../elsewhere";`],
  ])("%s", (_what, file, text) => {
    const problems = problemsOf(file, `// first line\n${text}\n`);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatchObject({ file, line: 2 });
  });
});

it.each([
  ["guest/main.ts", `import { x } from "../protocol/jws"; import fs from "node:fs/promises";`],
  ["protocol/a.ts", `import { Cron } from "croner"; import { createHash } from "node:crypto"; import "./b";`],
  [
    "provider/a.ts",
    `import { x } from "../relying-party/kbs-client"; import { y } from "../relying-party/kbs-client/admin";`,
  ],
  ["stacks/local.ts", `import { pipeline } from "sealflow"; import * as pulumi from "@pulumi/pulumi";`],
])("an import with the direction is allowed: %s", (file, text) => {
  expect(problemsOf(file, text)).toEqual([]);
});

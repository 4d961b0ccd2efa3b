#!/usr/bin/env node
/** Launcher of the command line: Node 24 first, then, in a clone, dependencies and build, then dist/cli/main.js. */

const fs = require("node:fs");
const path = require("node:path");
const { isNode24, reexec } = require("./node24.js");

const root = path.resolve(__dirname, "..");
const inClone = fs.existsSync(path.join(root, "tools", "build.js"));

if (inClone) require(path.join(root, "tools", "install.js")).install(root, (line) => console.error(line));
if (!isNode24()) {
  reexec(root, [__filename, ...process.argv.slice(2)]);
} else {
  if (inClone) require(path.join(root, "tools", "build.js")).build({ root, log: (line) => console.error(line) });
  const { main } = require(path.join(root, "dist", "cli", "main.js"));
  main(process.argv.slice(2)).then(
    (code) => {
      process.exitCode = code;
    },
    (error) => {
      console.error(error instanceof Error ? (error.stack ?? error.message) : error);
      process.exitCode = 1;
    },
  );
}

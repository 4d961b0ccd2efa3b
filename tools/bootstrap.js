/**
 * Entry of the npm scripts: sets up what is missing, then does the job under Node 24.
 * Usage: node tools/bootstrap.js start|test|test:quick|bench|cluster|lint|typecheck [arguments]
 * Plain JavaScript for Node >= 20, no dependencies.
 */

const { spawnSync } = require("node:child_process");
const path = require("node:path");
const { findNode24, isNode24, reexec } = require("../bin/node24.js");

const root = path.resolve(__dirname, "..");
const say = (line) => console.error(line);

const JOBS = {
  start: (args) => {
    require("./build.js").build({ root, log: say });
    return node([path.join(root, "bin", "sealflow.js"), "start", ...args]);
  },
  test: (args) => require("./test.js").test({ root, quick: false, args }),
  "test:quick": (args) => require("./test.js").test({ root, quick: true, args }),
  bench: (args) => {
    require("./build.js").build({ root });
    return node([path.join(root, "dist", "bench", "index.js"), ...args]);
  },
  cluster: (args) => {
    require("./build.js").build({ root });
    return node([path.join(root, "dist", "tools", "cluster", "main.js"), ...args]);
  },
  lint: () => require("./test.js").lint(root),
  typecheck: () => require("./test.js").typeCheck(root),
};

/** @returns {number} exit code */
function node(args) {
  const result = spawnSync(process.execPath, args, { stdio: "inherit" });
  return result.status ?? 1;
}

function run([job, ...args]) {
  if (!Object.hasOwn(JOBS, job ?? "")) {
    say(`usage: node tools/bootstrap.js ${Object.keys(JOBS).join("|")}`);
    process.exitCode = 2;
    return;
  }
  if (Number.parseInt(process.versions.node, 10) < 20) {
    say(`Sealflow's tools need Node 20 or newer with npm; this is ${process.version}.`);
    process.exitCode = 1;
    return;
  }
  try {
    require("./install.js").install(root, say);
    if (!isNode24()) return reexec(root, [__filename, job, ...args]);
    // Child processes by the name `node` (npm's own tools, Pulumi's helpers) get the same one.
    process.env.PATH = `${path.dirname(findNode24(root) ?? process.execPath)}${path.delimiter}${process.env.PATH}`;
    process.exitCode = JOBS[job](args);
  } catch (error) {
    say(`${job}: ${error instanceof Error ? error.message : error}`);
    process.exitCode = 1;
  }
}

run(process.argv.slice(2));

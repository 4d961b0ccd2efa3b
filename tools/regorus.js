/**
 * The Rego engine of the Kata guest and of Trustee (regorus), as a helper for tests: built once with Cargo from
 * tools/regorus into the cache.
 */
const { execFileSync } = require("node:child_process");
const { createHash } = require("node:crypto");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");

const SOURCE = path.join(__dirname, "regorus");

/** @returns {string | undefined} path of the helper; undefined when it is not in the cache and cannot be built. */
function findRegorus() {
  const cache = path.join(process.env.SEALFLOW_CACHE || path.join(os.homedir(), ".cache", "sealflow"), "regorus");
  const hash = createHash("sha256");
  for (const file of ["Cargo.toml", "Cargo.lock", "src/main.rs"]) hash.update(fs.readFileSync(path.join(SOURCE, file)));
  const binary = path.join(cache, `sealflow-regorus-${hash.digest("hex").slice(0, 16)}`);
  if (fs.existsSync(binary)) return binary;
  const target = path.join(cache, "target");
  try {
    execFileSync("cargo", ["--version"], { stdio: "ignore" });
  } catch {
    return undefined;
  }
  console.error("building regorus with Cargo (one to two minutes, once)");
  try {
    execFileSync("cargo", ["build", "--release", "--locked", "--target-dir", target], {
      cwd: SOURCE,
      stdio: ["ignore", "inherit", "inherit"],
    });
  } catch (error) {
    console.error(`regorus cannot be built here, so its tests are skipped: ${error.message}`);
    return undefined;
  }
  fs.copyFileSync(path.join(target, "release", "sealflow-regorus"), `${binary}.${process.pid}`);
  fs.renameSync(`${binary}.${process.pid}`, binary);
  return binary;
}

/**
 * @param {string} binary
 * @param {{policy: string, rule: string, input: unknown, data: object, references?: object}[]} commands
 * @returns {({value: unknown} | {undefined: true} | {error: string})[]} one per command, in order.
 */
function decideAll(binary, commands) {
  const input = commands.map((command) => `${JSON.stringify(command)}\n`).join("");
  const output = execFileSync(binary, { input, encoding: "utf8", maxBuffer: 1 << 28 });
  return output
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
}

module.exports = { findRegorus, decideAll };

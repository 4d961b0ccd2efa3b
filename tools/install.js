/** Installs the locked npm packages when they are missing or the lock file changed. Plain JavaScript, Node >= 20. */

const { spawnSync } = require("node:child_process");
const crypto = require("node:crypto");
const fs = require("node:fs");
const path = require("node:path");

/**
 * @param {string} root the checkout
 * @param {(line: string) => void} log
 * @returns {boolean} whether anything was installed
 * @throws {Error} when npm is missing or `npm ci` fails
 */
function install(root, log) {
  const modules = path.join(root, "node_modules");
  const stamp = path.join(modules, ".sealflow-lock");
  const lock = crypto
    .createHash("sha256")
    .update(fs.readFileSync(path.join(root, "package-lock.json")))
    .digest("hex");
  if (readOrEmpty(stamp) === lock) return false;
  if (matchesLock(root)) {
    fs.writeFileSync(stamp, lock);
    return false;
  }
  log(`installing npm packages (${fs.existsSync(modules) ? "package-lock.json changed" : "first use"}) ...`);
  // Install scripts are not needed: the compilers' binaries are packages of their own.
  const result = spawnSync("npm", ["ci", "--include=dev", "--include=optional", "--ignore-scripts", "--no-progress"], {
    cwd: root,
    stdio: ["ignore", 2, 2],
    shell: process.platform === "win32",
  });
  if (result.error) throw new Error(`cannot run npm (${result.error.message}): install Node >= 20 with npm`);
  if (result.status !== 0) throw new Error(`"npm ci" failed with exit code ${result.status}; its output is above`);
  fs.writeFileSync(stamp, lock);
  return true;
}

/** Whether npm's own record of what it installed agrees with the lock file (someone ran `npm ci` or `npm install`). */
function matchesLock(root) {
  const record = readOrEmpty(path.join(root, "node_modules", ".package-lock.json"));
  if (record === "") return false;
  const installed = JSON.parse(record).packages;
  const locked = JSON.parse(fs.readFileSync(path.join(root, "package-lock.json"), "utf8")).packages;
  const sameVersion = (name) => installed[name]?.version === locked[name].version;
  return (
    Object.keys(locked).every((name) => name === "" || locked[name].optional === true || sameVersion(name)) &&
    Object.keys(installed).every((name) => name in locked && sameVersion(name)) &&
    hasPlatformPackages(locked, installed)
  );
}

/** Optional packages for this very platform must be there: Node 24 and the compilers' binaries. */
function hasPlatformPackages(locked, installed) {
  const fits = (value, own) => value === undefined || [value].flat().includes(own);
  const libc = process.report?.getReport().header.glibcVersionRuntime === undefined ? "musl" : "glibc";
  return Object.entries(locked).every(
    ([name, entry]) =>
      entry.optional !== true ||
      entry.os === undefined ||
      !fits(entry.os, process.platform) ||
      !fits(entry.cpu, process.arch) ||
      !fits(entry.libc, libc) ||
      name in installed,
  );
}

function readOrEmpty(file) {
  try {
    return fs.readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

module.exports = { install };

/**
 * Completes package-lock.json. Usage: node tools/lock.js (after "npm install"), or --check.
 *
 * npm writes no entry for an optional package that its registry does not serve at the wanted version (a compiler's
 * binary for another platform, on a mirror), and then "npm ci" refuses the whole file, also on this platform. The entry
 * is written from the package's name and the exact version its parent wants; the hash is left to the registry there.
 */

const fs = require("node:fs");
const path = require("node:path");

const PLATFORM = /-(android|darwin|freebsd|linux|openharmony|win32)-([a-z0-9]+)(?:-([a-z]+))?$/;
const EXACT = /^\d+\.\d+\.\d+(-[\w.]+)?$/;

/**
 * @param {{packages: Record<string, any>}} lock
 * @returns {{parent: string, name: string, version: string}[]} optional packages without an entry
 */
function missing(lock) {
  return Object.entries(lock.packages).flatMap(([parent, entry]) =>
    Object.entries(entry.optionalDependencies ?? {})
      .filter(([name]) => findEntry(lock, parent, name) === undefined)
      .map(([name, version]) => ({ parent, name, version })),
  );
}

/** Node's own way up: node_modules of the parent, then of its parents. */
function findEntry(lock, from, name) {
  const key = `${from === "" ? "" : `${from}/`}node_modules/${name}`;
  if (lock.packages[key] !== undefined) return key;
  if (from === "") return undefined;
  const at = from.lastIndexOf("/node_modules/");
  return findEntry(lock, at < 0 ? "" : from.slice(0, at), name);
}

/** @throws {Error} when a name or version does not tell enough */
function complete(lock) {
  for (const { parent, name, version } of missing(lock)) {
    const [, os, cpu, abi] = PLATFORM.exec(name) ?? [];
    if (os === undefined || !EXACT.test(version)) {
      throw new Error(`${parent}: optional ${name}@${version} is not locked and its entry cannot be written by name`);
    }
    const libc =
      os === "linux" && /^(gnu|musl)/.test(abi ?? "") ? { libc: [abi.startsWith("musl") ? "musl" : "glibc"] } : {};
    const { dev } = lock.packages[parent];
    lock.packages[`node_modules/${name}`] = {
      version,
      cpu: [cpu],
      ...(dev ? { dev } : {}),
      ...libc,
      optional: true,
      os: [os],
    };
  }
  const order = ([a], [b]) => (a < b ? -1 : 1);
  lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(order));
  return lock;
}

module.exports = { missing, complete };

if (require.main === module) {
  const file = path.resolve(__dirname, "..", "package-lock.json");
  const lock = JSON.parse(fs.readFileSync(file, "utf8"));
  const gaps = missing(lock);
  if (process.argv.includes("--check")) {
    for (const { parent, name, version } of gaps) console.error(`${parent} wants ${name}@${version}: not locked`);
    process.exitCode = gaps.length === 0 ? 0 : 1;
  } else if (gaps.length > 0) {
    fs.writeFileSync(file, `${JSON.stringify(complete(lock), null, 2)}\n`);
    console.error(`package-lock.json: ${gaps.length} entries added`);
  }
}

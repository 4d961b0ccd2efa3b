/**
 * Finds Node 24 and runs a script under it. Plain JavaScript for Node >= 20, no dependencies: launchers start here
 * before anything is installed or compiled.
 */

const { spawn, spawnSync } = require("node:child_process");
const path = require("node:path");

/** `node:sqlite` as Sealflow uses it and the pinned runner need this major version. */
const REQUIRED_MAJOR = 24;

/** @returns {boolean} whether this process runs under a sufficient Node */
function isNode24() {
  return Number.parseInt(process.versions.node, 10) >= REQUIRED_MAJOR;
}

/**
 * The Node 24 that npm installed from the lock file (`node-<os>-<arch>`), else this one, else the one on PATH.
 * @param {string} root folder to look for installed packages from
 * @returns {string | undefined} absolute path or command name; undefined when there is none
 */
function findNode24(root) {
  if (isNode24()) return process.execPath;
  const candidates = [];
  try {
    const name = `node-${process.platform}-${process.arch}`;
    candidates.push(path.join(path.dirname(require.resolve(`${name}/package.json`, { paths: [root] })), "bin", "node"));
  } catch {
    // no such package for this platform, or optional dependencies were left out
  }
  candidates.push("node");
  return candidates.find((candidate) => {
    // Asking for the version also finds a binary that cannot run here (another C library).
    const answer = spawnSync(candidate, ["--version"], { encoding: "utf8" });
    return answer.status === 0 && Number.parseInt(answer.stdout.slice(1), 10) >= REQUIRED_MAJOR;
  });
}

/**
 * Runs `script` under Node 24 with this process's streams and ends this process as the child ended.
 * @param {string} root where to look for the installed Node
 * @param {string[]} args script and its arguments
 */
function reexec(root, args) {
  const node = findNode24(root);
  if (node === undefined) {
    console.error(
      `sealflow needs Node ${REQUIRED_MAJOR} or newer and found ${process.version}. npm has a packaged Node ${REQUIRED_MAJOR} ` +
        `for Linux on x64 and arm64 only (optional dependency node-${process.platform}-${process.arch}); ` +
        `here, install Node ${REQUIRED_MAJOR} and put it on PATH.`,
    );
    process.exit(1);
  }
  const child = spawn(node, args, { stdio: "inherit" });
  // A terminal's Ctrl-C reaches the child too; this process stays to pass on how the child ended.
  process.on("SIGINT", () => {});
  for (const signal of ["SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  child.on("error", (error) => {
    console.error(`sealflow: cannot start ${node}: ${error.message}`);
    process.exit(1);
  });
  child.on("exit", (code, signal) => {
    if (signal === null) process.exit(code ?? 1);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}

module.exports = { REQUIRED_MAJOR, isNode24, findNode24, reexec };

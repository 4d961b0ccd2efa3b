/**
 * Compiles the product to dist/ and bundles the guest runner. Usage: node tools/build.js [--force] [--quiet] [--types]
 *
 * - TypeScript of the product folders -> CommonJS, ES2023, with source maps, one file per file (@swc/core).
 * - Data files beside it (Rego, WebAssembly, JSON ...) are copied.
 * - relying-party/ledger/main.ts -> dist/relying-party/ledger-service.js: one file with its libraries (esbuild), for the
 *   image that ServiceImage makes.
 * - guest/main.ts -> dist/guest/runner.js: one file, only Node built-ins outside (esbuild). guest/ has no other output,
 *   because nothing outside the guest may import it.
 *
 * With --types (before the package is published) also the type declarations of the public interface (tsc).
 *
 * dist/.build.json remembers the SHA-256 of every input, so a build without changes reads and hashes, no more. Files are
 * written beside their place and renamed, and the output depends on the input alone: a reader never sees half a file,
 * and two builds at once end in the same tree. The lock only saves double work.
 */

const { execFileSync } = require("node:child_process");
const crypto = require("node:crypto");
const fs = require("node:fs");
const path = require("node:path");

const FOLDERS = [
  "protocol",
  "model",
  "policy",
  "relying-party",
  "owner",
  "untrusted",
  "resources",
  "provider",
  "components",
  "cli",
  "policy-pack",
  "bench",
  "tools/cluster",
  "tools/kubernetes-provider",
];
const ROOT_FILES = ["index.ts"];
const ASSETS = new Set([".rego", ".wasm", ".json", ".toml", ".yaml", ".txt", ".html", ".css", ".sql"]);
const GUEST_ENTRY = "guest/main.ts";
const GUEST_OUTPUT = "guest/runner.js";
/** What the runner may be made of; anything else in its bundle is an error. */
const GUEST_INPUTS = /^(guest|protocol)\/|^node_modules\/(canonicalize|croner)\//;
const LEDGER_ENTRY = "relying-party/ledger/main.ts";
const LEDGER_OUTPUT = "relying-party/ledger-service.js";
/** Optional parts of pg that no image of ours has. */
const LEDGER_EXTERNAL = ["pg-native", "cloudflare:sockets"];
const STAMP = ".build.json";
/** A lock is given up after this long, in milliseconds; a cold build takes a few seconds. */
const LOCK_PATIENCE_MS = 60_000;

/** @typedef {{inputs: Record<string, string>, outputs: Record<string, string[]>, tool: string, guest: string, ledger: string}} Stamp */

/**
 * @param {{root?: string, force?: boolean, log?: (line: string) => void}} [options] `root`: the checkout, default this one
 * @returns {{changed: number, seconds: number}} how many outputs were written
 */
function build(options = {}) {
  const root = options.root ?? path.resolve(__dirname, "..");
  const log = options.log ?? (() => {});
  const started = process.hrtime.bigint();
  const seconds = () => Number(process.hrtime.bigint() - started) / 1e9;
  const dist = path.join(root, "dist");
  if (!options.force && isCurrent(readStamp(dist), survey(root), dist)) return { changed: 0, seconds: seconds() };

  fs.mkdirSync(dist, { recursive: true });
  const unlock = lock(path.join(dist, ".build.lock"));
  try {
    const stamp = options.force ? emptyStamp() : readStamp(dist);
    const now = survey(root); // again: the holder of the lock may have built all of it
    if (!options.force && isCurrent(stamp, now, dist)) return { changed: 0, seconds: seconds() };
    const changed =
      compile(root, dist, stamp, now) + bundleGuest(root, dist, stamp, now, log) + bundleLedger(root, dist, stamp, now);
    writeFile(path.join(dist, STAMP), `${JSON.stringify(stamp)}\n`);
    log(`built dist/: ${changed} files in ${seconds().toFixed(1)} s`);
    return { changed, seconds: seconds() };
  } finally {
    unlock();
  }
}

/** Everything the outputs depend on. */
function survey(root) {
  const inputs = {};
  for (const file of ROOT_FILES) if (fs.existsSync(path.join(root, file))) inputs[file] = hashFile(root, file);
  for (const folder of FOLDERS) for (const file of listFiles(root, folder)) inputs[file] = hashFile(root, file);
  const tool = sha256(fs.readFileSync(__filename), versionOf(root, "@swc/core"));
  const guest = fs.existsSync(path.join(root, GUEST_ENTRY)) ? guestHash(root, inputs) : "";
  const ledger = fs.existsSync(path.join(root, LEDGER_ENTRY)) ? ledgerHash(root, inputs) : "";
  return { inputs, tool, guest, ledger };
}

/** The service depends on these folders, the locked libraries, esbuild and this file. */
function ledgerHash(root, inputs) {
  const own = Object.keys(inputs).filter((file) => /^(relying-party|protocol|policy)\//.test(file));
  const lock = fs.readFileSync(path.join(root, "package-lock.json"));
  return sha256(fs.readFileSync(__filename), own.map((file) => `${file} ${inputs[file]}`).join("\n"), lock);
}

/** The runner depends on guest/, protocol/, the locked libraries, esbuild and this file. */
function guestHash(root, inputs) {
  const own = listFiles(root, "guest").map((file) => `${file} ${hashFile(root, file)}`);
  const shared = Object.keys(inputs).filter((file) => file.startsWith("protocol/"));
  const versions = ["canonicalize", "croner", "esbuild"].map((name) => `${name}@${versionOf(root, name)}`);
  return sha256(
    fs.readFileSync(__filename),
    [...own, ...shared.map((file) => `${file} ${inputs[file]}`), ...versions].join("\n"),
  );
}

function isCurrent(stamp, now, dist) {
  if (stamp.tool !== now.tool || stamp.guest !== now.guest || stamp.ledger !== now.ledger) return false;
  const files = Object.keys(now.inputs);
  if (files.length !== Object.keys(stamp.inputs).length) return false;
  if (now.guest !== "" && !fs.existsSync(path.join(dist, GUEST_OUTPUT))) return false;
  if (now.ledger !== "" && !fs.existsSync(path.join(dist, LEDGER_OUTPUT))) return false;
  return files.every(
    (file) =>
      stamp.inputs[file] === now.inputs[file] &&
      stamp.outputs[file].every((out) => fs.existsSync(path.join(dist, out))),
  );
}

/** Brings dist/ to the surveyed inputs and the stamp with it. */
function compile(root, dist, stamp, now) {
  if (stamp.tool !== now.tool) Object.assign(stamp, emptyStamp(), { tool: now.tool });
  let changed = 0;
  for (const file of Object.keys(stamp.inputs)) {
    if (file in now.inputs) continue;
    for (const out of stamp.outputs[file]) fs.rmSync(path.join(dist, out), { force: true });
    delete stamp.inputs[file];
    delete stamp.outputs[file];
    changed++;
  }
  for (const [file, hash] of Object.entries(now.inputs)) {
    const known =
      stamp.inputs[file] === hash && stamp.outputs[file].every((out) => fs.existsSync(path.join(dist, out)));
    if (known) continue;
    stamp.outputs[file] = file.endsWith(".ts") ? compileFile(root, dist, file) : copyFile(root, dist, file);
    stamp.inputs[file] = hash;
    changed++;
  }
  return changed;
}

function compileFile(root, dist, file) {
  const swc = require(require.resolve("@swc/core", { paths: [root] }));
  const out = file.replace(/\.ts$/, ".js");
  const { code, map } = swc.transformSync(fs.readFileSync(path.join(root, file), "utf8"), {
    filename: path.join(root, file),
    sourceFileName: path.relative(path.dirname(path.join(dist, out)), path.join(root, file)),
    configFile: false,
    swcrc: false,
    sourceMaps: true,
    jsc: { parser: { syntax: "typescript" }, target: "es2023", keepClassNames: true },
    // `import()` becomes a `require` behind a promise: extensionless paths work, and Node requires ESM packages itself.
    module: { type: "commonjs" },
  });
  writeFile(path.join(dist, out), `${code}\n//# sourceMappingURL=${path.basename(out)}.map\n`);
  writeFile(path.join(dist, `${out}.map`), map);
  return [out, `${out}.map`];
}

function copyFile(root, dist, file) {
  writeFile(path.join(dist, file), fs.readFileSync(path.join(root, file)));
  return [file];
}

function bundleGuest(root, dist, stamp, now, log) {
  const out = path.join(dist, GUEST_OUTPUT);
  if (now.guest === "") {
    log(`${GUEST_ENTRY} does not exist: the guest runner is not bundled`);
    fs.rmSync(out, { force: true });
    stamp.guest = "";
    return 0;
  }
  if (stamp.guest === now.guest && fs.existsSync(out)) return 0;
  const esbuild = require(require.resolve("esbuild", { paths: [root] }));
  const result = esbuild.buildSync({
    absWorkingDir: root,
    entryPoints: [GUEST_ENTRY],
    outfile: out,
    write: false,
    bundle: true,
    metafile: true,
    platform: "node",
    target: "node24",
    format: "cjs",
    charset: "utf8",
    legalComments: "none",
    preserveSymlinks: true, // paths in comments stay relative to the checkout wherever node_modules is linked to
    tsconfigRaw: {},
    logLevel: "silent", // the thrown error carries the messages
  });
  const foreign = Object.keys(result.metafile.inputs).filter((input) => !GUEST_INPUTS.test(input));
  if (foreign.length > 0) {
    throw new Error(
      `guest runner: ${foreign.join(", ")} would become part of it; only guest/, protocol/, canonicalize and croner may`,
    );
  }
  writeFile(out, result.outputFiles[0].contents);
  stamp.guest = now.guest;
  return 1;
}

function bundleLedger(root, dist, stamp, now) {
  const out = path.join(dist, LEDGER_OUTPUT);
  if (now.ledger === "" || (stamp.ledger === now.ledger && fs.existsSync(out))) return 0;
  const esbuild = require(require.resolve("esbuild", { paths: [root] }));
  const { outputFiles } = esbuild.buildSync({
    absWorkingDir: root,
    entryPoints: [LEDGER_ENTRY],
    outfile: out,
    write: false,
    bundle: true,
    platform: "node",
    target: "node24",
    format: "cjs",
    charset: "utf8",
    legalComments: "none",
    external: LEDGER_EXTERNAL,
    preserveSymlinks: true,
    tsconfigRaw: {},
    logLevel: "silent",
  });
  writeFile(out, outputFiles[0].contents);
  stamp.ledger = now.ledger;
  return 1;
}

/** Declarations of index.ts and what it exports, for users who compile against the package. */
function declareTypes(root) {
  const tsc = path.join(root, "node_modules", "typescript", "bin", "tsc");
  execFileSync(process.execPath, [tsc, "-p", "tsconfig.types.json"], { cwd: root, stdio: ["ignore", 2, 2] });
}

function listFiles(root, folder) {
  const files = [];
  const walk = (dir) => {
    let entries;
    try {
      entries = fs.readdirSync(path.join(root, dir), { withFileTypes: true });
    } catch (error) {
      if (error.code === "ENOENT") return;
      throw error;
    }
    for (const entry of entries) {
      const file = `${dir}/${entry.name}`;
      if (entry.isDirectory()) {
        if (entry.name !== "node_modules") walk(file);
      } else if (
        (entry.name.endsWith(".ts") && !entry.name.endsWith(".d.ts")) ||
        ASSETS.has(path.extname(entry.name))
      ) {
        files.push(file);
      }
    }
  };
  walk(folder);
  return files.sort();
}

function emptyStamp() {
  return { inputs: {}, outputs: {}, tool: "", guest: "", ledger: "" };
}

/** @returns {Stamp} an empty one when there is none or it cannot be read */
function readStamp(dist) {
  try {
    const stamp = JSON.parse(fs.readFileSync(path.join(dist, STAMP), "utf8"));
    return { ...emptyStamp(), ...stamp };
  } catch {
    return emptyStamp();
  }
}

function versionOf(root, name) {
  const file = path.join(root, "node_modules", name, "package.json");
  try {
    return JSON.parse(fs.readFileSync(file, "utf8")).version;
  } catch {
    throw new Error(`${name} is not installed (no ${path.relative(root, file)}): run "npm ci" first`);
  }
}

function hashFile(root, file) {
  return sha256(fs.readFileSync(path.join(root, file)));
}

function sha256(...parts) {
  const hash = crypto.createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest("hex");
}

function writeFile(file, data) {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  const temporary = `${file}.${process.pid}.tmp`;
  fs.writeFileSync(temporary, data);
  fs.renameSync(temporary, file);
}

/** Waits for another build, or takes over from one that died or hangs. @returns {() => void} unlock */
function lock(file) {
  const until = Date.now() + LOCK_PATIENCE_MS;
  for (;;) {
    try {
      fs.writeFileSync(file, String(process.pid), { flag: "wx" });
      return () => fs.rmSync(file, { force: true });
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
    }
    if (!isAlive(readPid(file)) || Date.now() > until) fs.rmSync(file, { force: true });
    else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50);
  }
}

/** NaN when the file is gone or still empty. */
function readPid(file) {
  try {
    return Number.parseInt(fs.readFileSync(file, "utf8"), 10);
  } catch {
    return Number.NaN;
  }
}

function isAlive(pid) {
  if (Number.isNaN(pid)) return true; // being written or just removed: look again
  try {
    process.kill(pid, 0);
    return !hasEnded(pid);
  } catch (error) {
    return error.code === "EPERM";
  }
}

/** Its entry stays until somebody asks for it, which in containers process 1 often does not. */
function hasEnded(pid) {
  try {
    return /\) [ZX] /.test(fs.readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

module.exports = { build };

if (require.main === module) {
  const args = process.argv.slice(2);
  try {
    const log = args.includes("--quiet") ? () => {} : (line) => console.error(line);
    build({ force: args.includes("--force"), log });
    if (args.includes("--types")) declareTypes(path.resolve(__dirname, ".."));
  } catch (error) {
    console.error(`build: ${error instanceof Error ? error.message : error}`);
    process.exitCode = 1;
  }
}

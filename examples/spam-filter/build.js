/**
 * Bundles each step with its libraries into steps/<name>/dist/main.js: one file, which is all that its image holds.
 * The output depends on sources and locked libraries alone, and a file is written only when it changes. The bundler is
 * loaded only when one of the files that it read last time is another one now.
 * Usage: node examples/spam-filter/build.js
 */

const { createHash } = require("node:crypto");
const fs = require("node:fs");
const path = require("node:path");

const STEPS = ["ingest", "split", "features", "bayes", "logistic", "evaluate", "gate"];

/** What the bundles were made of, by path and SHA-256. */
const STAMP = path.join(__dirname, ".bundle.json");

/** @returns {string[]} steps whose bundle changed */
function buildSteps() {
  if (isCurrent()) return [];
  const esbuild = require("esbuild");
  const result = esbuild.buildSync({
    absWorkingDir: __dirname,
    entryPoints: STEPS.map((name) => ({ in: `steps/${name}/main.js`, out: `${name}/dist/main` })),
    outdir: "steps",
    write: false,
    metafile: true,
    bundle: true,
    platform: "node",
    target: "node24",
    format: "cjs",
    charset: "utf8",
    legalComments: "inline",
    logLevel: "error",
  });
  const changed = result.outputFiles.filter(({ path: file, contents }) => !sameFile(file, contents));
  // Written beside dist/, then renamed into it: whoever seals the folder sees whole files and no others.
  const temporary = path.join(__dirname, `.bundle.${process.pid}`);
  for (const { path: file, contents } of changed) {
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(temporary, contents);
    fs.renameSync(temporary, file);
  }
  const files = [
    ...Object.keys(result.metafile.inputs),
    path.relative(__dirname, __filename),
    ...Object.keys(result.metafile.outputs),
  ];
  fs.writeFileSync(temporary, JSON.stringify(Object.fromEntries(files.map((file) => [file, digestOf(file)]))));
  fs.renameSync(temporary, STAMP);
  return changed.map(({ path: file }) => path.basename(path.dirname(path.dirname(file))));
}

/** Sources, libraries, this file and the bundles are what they were after the last bundling. */
function isCurrent() {
  try {
    const files = Object.entries(JSON.parse(fs.readFileSync(STAMP, "utf8")));
    return files.length > 0 && files.every(([file, digest]) => digestOf(file) === digest);
  } catch {
    return false; // not built yet, or something is gone
  }
}

const digestOf = (file) =>
  createHash("sha256")
    .update(fs.readFileSync(path.join(__dirname, file)))
    .digest("hex");

function sameFile(file, contents) {
  try {
    return fs.readFileSync(file).equals(contents);
  } catch {
    return false; // not built yet
  }
}

module.exports = { buildSteps, STEPS };

if (require.main === module) console.log(`bundled: ${buildSteps().join(", ") || "nothing changed"}`);

/**
 * Bundles each step with its libraries into steps/<name>/dist/main.js: one file, which is all that its image holds.
 * The output depends on sources and locked libraries alone, and a file is written only when it changes.
 * Usage: node examples/spam-filter/build.js
 */

const esbuild = require("esbuild");
const fs = require("node:fs");
const path = require("node:path");

const STEPS = ["ingest", "split", "features", "bayes", "logistic", "evaluate", "gate"];

/** @returns {string[]} steps whose bundle changed */
function buildSteps() {
  const result = esbuild.buildSync({
    absWorkingDir: __dirname,
    entryPoints: STEPS.map((name) => ({ in: `steps/${name}/main.js`, out: `${name}/dist/main` })),
    outdir: "steps",
    write: false,
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
  return changed.map(({ path: file }) => path.basename(path.dirname(path.dirname(file))));
}

function sameFile(file, contents) {
  try {
    return fs.readFileSync(file).equals(contents);
  } catch {
    return false; // not built yet
  }
}

module.exports = { buildSteps, STEPS };

if (require.main === module) console.log(`bundled: ${buildSteps().join(", ") || "nothing changed"}`);

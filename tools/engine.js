/** Makes sure that there is a Pulumi engine and says which. Usage: node tools/engine.js, after tools/build.js. */

const path = require("node:path");

const { ensureEngine, formatProgress } = require(path.resolve(__dirname, "..", "dist", "cli", "engine"));

ensureEngine({ onProgress: (event) => console.error(formatProgress(event)) }).then(
  ({ version, pulumi, source }) => console.error(`Pulumi ${version} (${source}): ${pulumi}`),
  (error) => {
    console.error(error.message);
    process.exitCode = 1;
  },
);

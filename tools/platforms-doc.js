/** Writes docs/platforms.md from model/platforms. Usage: node tools/platforms-doc.js, after every change of a row. */
const fs = require("node:fs");
const path = require("node:path");
const { build } = require("./build");

const root = path.resolve(__dirname, "..");
build({ root });
const { platformsDocument } = require(path.join(root, "dist/model/platforms/document.js"));
fs.writeFileSync(path.join(root, "docs/platforms.md"), platformsDocument());

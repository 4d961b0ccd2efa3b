/**
 * Files of a step: `/sealflow/in/<name>` and `/sealflow/out/<name>`; for a run without Sealflow, below SF_DIR instead.
 * A step that is trusted on a machine without namespaces is told their places in SEALFLOW_IN and SEALFLOW_OUT.
 */

const fs = require("node:fs");
const path = require("node:path");

const root = process.env.SF_DIR ?? "/sealflow";
const inputs = process.env.SEALFLOW_IN ?? path.join(root, "in");
const outputs = process.env.SEALFLOW_OUT ?? path.join(root, "out");
const input = (name) => path.join(inputs, name);
const output = (name) => path.join(outputs, name);

const readJson = (name) => JSON.parse(fs.readFileSync(input(name), "utf8"));
const writeJson = (name, value) => fs.writeFileSync(output(name), `${JSON.stringify(value)}\n`);

/** @returns {any[]} one value per line */
const readLines = (name) =>
  fs
    .readFileSync(input(name), "utf8")
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));
const writeLines = (name, values) =>
  fs.writeFileSync(output(name), values.map((v) => `${JSON.stringify(v)}\n`).join(""));

module.exports = { readJson, writeJson, readLines, writeLines };

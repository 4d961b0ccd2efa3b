/**
 * Picks the model with the better F1, and lets nothing pass when that is not good enough.
 * Usage: main.js --min-f1 <0 to 1>
 */

const { parseArgs } = require("node:util");
const { readJson, writeJson } = require("../../lib/io");

const { values } = parseArgs({ options: { "min-f1": { type: "string" } } });
const least = Number(values["min-f1"]);
if (!(least >= 0 && least <= 1)) throw new Error("usage: main.js --min-f1 <0 to 1>");

const report = readJson("report");
const [[selected, { f1 }]] = Object.entries(report.models).sort(([, a], [, b]) => b.f1 - a.f1);
if (f1 < least) throw new Error(`the best model has F1 ${f1}, less than ${least}: nothing is released`);

writeJson("metrics", { selected, ...report });
writeJson("model", { kind: selected, vocabulary: readJson("vocabulary"), model: readJson(selected) });
console.log(`selected: ${selected}`);

/** Trains logistic regression. Usage: main.js --steps <how many> --rate <learning rate> */

const { parseArgs } = require("node:util");
const LogisticRegression = require("ml-logistic-regression");
const { Matrix } = require("ml-matrix");
const { readJson, readLines, writeJson } = require("../../lib/io");
const { dense } = require("../../lib/matrix");

const { values } = parseArgs({ options: { steps: { type: "string" }, rate: { type: "string" } } });
const [numSteps, learningRate] = [Number(values.steps), Number(values.rate)];
if (!(numSteps > 0 && learningRate > 0)) throw new Error("usage: main.js --steps <how many> --rate <learning rate>");

const rows = readLines("rows");
const model = new LogisticRegression({ numSteps, learningRate });
model.train(dense(rows, readJson("vocabulary").length), Matrix.columnVector(rows.map(({ spam }) => spam)));
writeJson("model", model);
console.log(`logistic regression trained on ${rows.length} messages`);

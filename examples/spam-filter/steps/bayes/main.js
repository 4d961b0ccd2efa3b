/** Trains multinomial naive Bayes. */

const { MultinomialNB } = require("ml-naivebayes");
const { readJson, readLines, writeJson } = require("../../lib/io");
const { dense } = require("../../lib/matrix");

const rows = readLines("rows");
const model = new MultinomialNB();
model.train(
  dense(rows, readJson("vocabulary").length),
  rows.map(({ spam }) => spam),
);
writeJson("model", model);
console.log(`naive Bayes trained on ${rows.length} messages`);

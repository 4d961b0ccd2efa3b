/** How well each model finds the spam of the test side. */

const LogisticRegression = require("ml-logistic-regression");
const { MultinomialNB } = require("ml-naivebayes");
const { readJson, readLines, writeJson } = require("../../lib/io");
const { dense } = require("../../lib/matrix");

const rows = readLines("rows");
const matrix = dense(rows, readJson("vocabulary").length);

/** Of what was called spam and of what is spam, the shares that were right; and their harmonic mean. */
function score(predicted) {
  const pairs = predicted.map((spam, i) => `${rows[i].spam}${spam}`);
  const [hit, missed, wrong] = ["11", "10", "01"].map((pair) => pairs.filter((p) => p === pair).length);
  const [precision, recall] = [hit / (hit + wrong || 1), hit / (hit + missed || 1)];
  const f1 = (2 * hit) / (2 * hit + wrong + missed || 1);
  return { f1, precision, recall, accuracy: (rows.length - wrong - missed) / rows.length };
}

const report = {
  messages: rows.length,
  spam: rows.filter(({ spam }) => spam === 1).length,
  models: {
    bayes: score(MultinomialNB.load(readJson("bayes")).predict(matrix)),
    logistic: score(LogisticRegression.load(readJson("logistic")).predict(matrix)),
  },
};
writeJson("report", report);
console.log(`${Object.keys(report.models).length} models evaluated`);

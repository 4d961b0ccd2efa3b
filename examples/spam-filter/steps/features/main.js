/**
 * Text -> TF-IDF. The vocabulary and its weights come from the training side only; rows have length 1.
 * Usage: main.js --terms <how many>
 */

const { parseArgs } = require("node:util");
const { readLines, writeJson, writeLines } = require("../../lib/io");

const { values } = parseArgs({ options: { terms: { type: "string" } } });
const size = Number(values.terms);
if (!(Number.isInteger(size) && size > 0)) throw new Error("usage: main.js --terms <how many>");

/** Words of two letters or more; numbers and long words as their kind, because their spelling repeats nowhere. */
function tokens(text) {
  const words = text.toLowerCase().match(/[a-z][a-z']+|[0-9]+|[$!]/g) ?? [];
  return words.map((word) => (/^[0-9]/.test(word) ? "<number>" : word.length > 20 ? "<long>" : word));
}

/** Word -> how often, of one text. */
function counts(text) {
  const found = new Map();
  for (const token of tokens(text)) found.set(token, (found.get(token) ?? 0) + 1);
  return found;
}

const count = (messages) => messages.map(({ label, text }) => ({ spam: label === "spam", found: counts(text) }));
const [train, test] = [count(readLines("train")), count(readLines("test"))];

const documents = new Map();
for (const { found } of train) for (const term of found.keys()) documents.set(term, (documents.get(term) ?? 0) + 1);
const vocabulary = [...documents]
  .sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1))
  .slice(0, size)
  .map(([term, inDocuments]) => ({ term, idf: Math.log((1 + train.length) / (1 + inDocuments)) + 1 }));
const column = new Map(vocabulary.map(({ term }, i) => [term, i]));

/** Sparse row in the order of columns. */
function row({ spam, found }) {
  const cells = [...found]
    .filter(([term]) => column.has(term))
    .map(([term, times]) => [column.get(term), (1 + Math.log(times)) * vocabulary[column.get(term)].idf])
    .sort(([a], [b]) => a - b);
  const length = Math.sqrt(cells.reduce((sum, [, value]) => sum + value * value, 0)) || 1;
  return { spam: spam ? 1 : 0, at: cells.map(([i]) => i), values: cells.map(([, value]) => value / length) };
}

writeJson("vocabulary", vocabulary);
writeLines("train", train.map(row));
writeLines("test", test.map(row));
console.log(`${vocabulary.length} terms of ${documents.size}`);

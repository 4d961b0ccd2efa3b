/**
 * Divides messages into train and test. A message's side depends on its id and the seed alone, so it stays on its side
 * when others come or go. Usage: main.js --seed <text> --test <share, 0 to 1>
 */

const { createHash } = require("node:crypto");
const { parseArgs } = require("node:util");
const { readLines, writeLines } = require("../../lib/io");

const { values } = parseArgs({ options: { seed: { type: "string" }, test: { type: "string" } } });
const share = Number(values.test);
if (values.seed === undefined || !(share > 0 && share < 1)) {
  throw new Error("usage: main.js --seed <text> --test <share, between 0 and 1>");
}

/** Evenly spread over 0 to 1. */
const lot = (id) => createHash("sha256").update(`${values.seed}|${id}`).digest().readUInt32BE() / 2 ** 32;

const sides = { train: [], test: [] };
for (const message of readLines("messages")) sides[lot(message.id) < share ? "test" : "train"].push(message);
writeLines("train", sides.train);
writeLines("test", sides.test);
console.log(`${sides.train.length} to train, ${sides.test.length} to test`);

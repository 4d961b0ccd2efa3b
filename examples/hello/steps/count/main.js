// words → how many there are, and the most frequent ones. `most` comes with the run.
const fs = require("node:fs");

// The variables are set only where a trusted step runs without namespaces.
const { SEALFLOW_IN = "/sealflow/in", SEALFLOW_OUT = "/sealflow/out" } = process.env;
const { SEALFLOW_PARAMS = "/sealflow/params.json" } = process.env;

const { most } = JSON.parse(fs.readFileSync(SEALFLOW_PARAMS, "utf8"));
const counts = new Map();
for (const line of fs.readFileSync(`${SEALFLOW_IN}/words`, "utf8").split("\n").filter(Boolean)) {
  const { word } = JSON.parse(line);
  counts.set(word, (counts.get(word) ?? 0) + 1);
}
const byCount = [...counts].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1));
const total = byCount.reduce((sum, [, n]) => sum + n, 0);
fs.writeFileSync(
  `${SEALFLOW_OUT}/report`,
  JSON.stringify({ words: total, distinct: counts.size, most: Object.fromEntries(byCount.slice(0, most)) }),
);

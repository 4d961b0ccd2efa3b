/** How many rows, how many characters. */
const fs = require("node:fs");

const rows = fs.readFileSync("/sealflow/in/rows", "utf8").trim().split("\n");
const texts = rows.map((row) => JSON.parse(row).text);
const characters = texts.reduce((sum, text) => sum + text.length, 0);
fs.writeFileSync("/sealflow/out/report", JSON.stringify({ rows: texts.length, characters }));

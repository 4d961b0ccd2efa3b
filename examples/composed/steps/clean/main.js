/** Lines of text to rows, empty ones left out. */
const fs = require("node:fs");

const lines = fs.readFileSync("/sealflow/in/lines", "utf8").split("\n");
const rows = lines.map((line) => line.trim()).filter((line) => line !== "");
fs.writeFileSync("/sealflow/out/rows", rows.map((text) => `${JSON.stringify({ text })}\n`).join(""));

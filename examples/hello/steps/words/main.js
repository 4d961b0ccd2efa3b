// text → one {"word": …} a line. A step reads and writes files; it knows nothing of Sealflow.
const fs = require("node:fs");

const text = fs.readFileSync("/sealflow/in/text", "utf8");
const words = text.toLowerCase().match(/\p{L}+/gu) ?? [];
fs.writeFileSync("/sealflow/out/words", words.map((word) => `${JSON.stringify({ word })}\n`).join(""));
console.log(`${words.length} words`);

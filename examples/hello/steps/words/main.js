// text → one {"word": …} a line. A step reads and writes files, and needs no library of Sealflow.
const fs = require("node:fs");

// The variables are set only where a trusted step runs without namespaces.
const { SEALFLOW_IN = "/sealflow/in", SEALFLOW_OUT = "/sealflow/out" } = process.env;

const text = fs.readFileSync(`${SEALFLOW_IN}/text`, "utf8");
const words = text.toLowerCase().match(/\p{L}+/gu) ?? [];
fs.writeFileSync(`${SEALFLOW_OUT}/words`, words.map((word) => `${JSON.stringify({ word })}\n`).join(""));
console.log(`${words.length} words`);

/**
 * The same steps without Sealflow: child processes, one after the other, on files in a temporary folder. What it prints
 * must be what the sealed run releases, digit for digit. Usage: npm run example:spam:plain [-- --json]
 */

const { spawnSync } = require("node:child_process");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { findNode24 } = require("../../bin/node24.js");

/** The steps in order: arguments, and where each input comes from. pipeline.ts says the same; a test compares them. */
const PLAN = {
  ingest: { args: [], inputs: { mails: "mails" } },
  split: { args: ["--seed", "2002", "--test", "0.3"], inputs: { messages: "ingest.messages" } },
  features: { args: ["--terms", "1000"], inputs: { train: "split.train", test: "split.test" } },
  bayes: { args: [], inputs: { rows: "features.train", vocabulary: "features.vocabulary" } },
  logistic: {
    args: ["--steps", "100", "--rate", "0.05"],
    inputs: { rows: "features.train", vocabulary: "features.vocabulary" },
  },
  evaluate: {
    args: [],
    inputs: {
      rows: "features.test",
      vocabulary: "features.vocabulary",
      bayes: "bayes.model",
      logistic: "logistic.model",
    },
  },
  gate: {
    args: ["--min-f1", "0.9"],
    inputs: {
      report: "evaluate.report",
      vocabulary: "features.vocabulary",
      bayes: "bayes.model",
      logistic: "logistic.model",
    },
  },
};

/**
 * @param {(line: string) => void} log one line per step
 * @param {string} [keep] an empty folder for the files of every step, `<step>/in/<name>` and `<step>/out/<name>`; without
 *   it they are deleted
 * @returns {{metrics: any, seconds: number}} what the gate lets pass
 * @throws {Error} when a step fails, with its output
 */
function runPlain(log = () => {}, keep = undefined) {
  const mails = require("./data.js").prepareData();
  require("./build.js").buildSteps();
  const node = findNode24(__dirname);
  if (node === undefined) throw new Error("needs Node 24: `npm ci` brings it on Linux, elsewhere install it");
  const folder = keep ?? fs.mkdtempSync(path.join(os.tmpdir(), "spam-plain-"));
  const started = process.hrtime.bigint();
  const seconds = (since) => Number(process.hrtime.bigint() - since) / 1e9;
  try {
    for (const [name, { args, inputs }] of Object.entries(PLAN)) {
      const stepStarted = process.hrtime.bigint();
      for (const side of ["in", "out"]) fs.mkdirSync(path.join(folder, name, side), { recursive: true });
      for (const [input, from] of Object.entries(inputs)) {
        const [step, output] = from.split(".");
        const file = output === undefined ? mails : path.join(folder, step, "out", output);
        fs.symlinkSync(file, path.join(folder, name, "in", input));
      }
      const main = path.join(__dirname, "steps", name, "dist", "main.js");
      const env = { PATH: process.env.PATH, SF_DIR: path.join(folder, name) };
      const { status, stdout, stderr } = spawnSync(node, [main, ...args], { env, encoding: "utf8" });
      if (status !== 0) throw new Error(`step ${name} failed:\n${stdout}${stderr}`);
      log(`${name.padEnd(9)} ${seconds(stepStarted).toFixed(1).padStart(5)} s  ${stdout.trim()}`);
    }
    const metrics = JSON.parse(fs.readFileSync(path.join(folder, "gate", "out", "metrics"), "utf8"));
    return { metrics, seconds: seconds(started) };
  } finally {
    if (keep === undefined) fs.rmSync(folder, { recursive: true, force: true });
  }
}

/** The released figures, as the sealed run prints them. */
function metricsText({ selected, messages, spam, models }) {
  const rows = Object.entries(models).map(
    ([name, { f1, precision, recall }]) => `${name.padEnd(9)} F1 ${f1}  precision ${precision}  recall ${recall}`,
  );
  return [...rows, `selected: ${selected} (${messages} test messages, ${spam} of them spam)`].join("\n");
}

module.exports = { runPlain, metricsText, PLAN };

if (require.main === module) {
  require("../../tools/install.js").install(path.resolve(__dirname, "../.."), (line) => console.error(line));
  const { metrics, seconds } = runPlain((line) => console.error(line));
  if (process.argv.includes("--json")) console.log(JSON.stringify(metrics));
  else console.log(`${metricsText(metrics)}\nplain run: ${seconds.toFixed(1)} s`);
}

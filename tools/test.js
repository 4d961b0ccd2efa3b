/**
 * The whole check: type check, lint, import directions, tests. Its last line is "N passed, N failed[, N skipped]".
 * `*.slow.test.ts` (they run the engine, build images, start services) come after the others, two at a time: each waits
 * for its services about half of the time. The quick run leaves them out.
 *
 * A slow suite that fails beside another is run once more alone, and that result counts: two cores shared by a dozen
 * services can keep one waiting past its limit. What failed beside another is listed before the last line.
 */

const { spawnSync } = require("node:child_process");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");

/**
 * By TypeScript 7, the native compiler: a quarter of the processor time of TypeScript 5, which stays beside it for what
 * uses a compiler as a library. One checker: more of them hold types twice, and cost memory for little time on two cores.
 * @returns {number} exit code of the type check over the whole tree
 */
function typeCheck(root) {
  return tool(root, "typescript-7/bin/tsc", ["-p", ".", "--checkers", "1"]);
}

/** @returns {number} exit code of formatter and linter, then of the import check */
function lint(root) {
  const style = tool(root, "@biomejs/biome/bin/biome", ["check", "--error-on-warnings", "--no-errors-on-unmatched"]);
  const imports = require("./imports.js").main(root);
  return style || imports;
}

/**
 * @param {{root: string, quick: boolean, args: string[]}} options `args` go to jest (a path pattern, `-t name` ...) and
 *   then only jest runs
 * @returns {number} exit code, 0 only when every check and every test passed
 */
function test({ root, quick, args }) {
  require("./build.js").build({ root, log: (line) => console.error(line) });
  const checks =
    args.length > 0 ? [] : [named("type check", () => typeCheck(root)), named("lint and imports", () => lint(root))];
  const failedChecks = checks.filter((check) => check.run() !== 0).map((check) => check.name);
  const passedChecks = checks.length - failedChecks.length;

  // Before the tests, with its progress shown: on a fresh machine the engine may have to be built for minutes.
  if (!quick && args.length === 0 && script(root, "tools/engine.js") !== 0) failedChecks.push("Pulumi engine");
  // The same for the test cluster, but without it its suites say that they are skipped.
  if (!quick && args.length === 0) script(root, "dist/tools/cluster/main.js", ["build", "--argo"]);
  const totals = { passed: 0, failed: 0, skipped: 0 };
  const quickRound = jestRound(root, ["--maxWorkers=2", "--testPathIgnorePatterns=\\.slow\\.test\\.ts$"], args);
  add(totals, quickRound.suites);
  let jestCode = quickRound.code;
  if (!quick) {
    const beside = jestRound(root, ["--maxWorkers=2", "--testMatch=**/*.slow.test.ts"], args);
    const again = beside.suites.filter(({ failed, name }) => failed > 0 && name !== undefined).map(({ name }) => name);
    if (again.length === 0) {
      add(totals, beside.suites);
      jestCode = beside.code || jestCode;
    } else {
      const alone = jestRound(root, ["--runInBand", "--testMatch=**/*.slow.test.ts", "--runTestsByPath", ...again], []);
      add(
        totals,
        beside.suites.filter(({ name }) => !again.includes(name)),
      );
      add(totals, alone.suites);
      jestCode = alone.code || jestCode;
      for (const name of again)
        console.log(`failed beside another suite, run again alone: ${path.relative(root, name)}`);
    }
  }

  for (const name of failedChecks) console.log(`failed: ${name}`);
  totals.failed += failedChecks.length;
  totals.passed += passedChecks;
  const skipped = totals.skipped > 0 ? `, ${totals.skipped} skipped` : "";
  console.log(`${totals.passed} passed, ${totals.failed} failed${skipped}`);
  return jestCode !== 0 || totals.failed > 0 || totals.passed === 0 ? 1 : 0;
}

/**
 * One jest run.
 * @returns {{code: number, suites: {name?: string, passed: number, failed: number, skipped: number}[]}} a suite that
 *   cannot even load counts as one failure, and so does a run without a report (which has no name)
 */
function jestRound(root, round, args) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "sealflow-test-"));
  const report = path.join(folder, "report.json");
  try {
    const code = tool(root, "jest/bin/jest.js", [
      "--json",
      `--outputFile=${report}`,
      "--passWithNoTests",
      ...args, // first: jest's list options take every word behind them
      ...round,
    ]);
    const { testResults } = JSON.parse(fs.readFileSync(report, "utf8"));
    const suites = testResults.map(({ name, status, assertionResults }) => {
      const count = (...states) => assertionResults.filter((test) => states.includes(test.status)).length;
      const failed = count("failed");
      const skipped = count("pending", "todo", "disabled");
      return { name, passed: count("passed"), failed: failed || (status === "failed" ? 1 : 0), skipped };
    });
    return { code, suites };
  } catch (error) {
    console.error(`jest wrote no report: ${error.message}`);
    return { code: 1, suites: [{ passed: 0, failed: 1, skipped: 0 }] };
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

function add(totals, suites) {
  for (const suite of suites) for (const kind of Object.keys(totals)) totals[kind] += suite[kind];
}

function named(name, run) {
  return {
    name,
    run: () => {
      console.error(`${name} ...`);
      return run();
    },
  };
}

function tool(root, file, args) {
  return script(root, path.join("node_modules", file), args);
}

/** Runs a script under this Node. Its standard output goes to standard error: ours ends in one line. */
function script(root, file, args = []) {
  const result = spawnSync(process.execPath, [path.join(root, file), ...args], {
    cwd: root,
    stdio: ["ignore", 2, 2],
  });
  return result.status ?? 1;
}

module.exports = { test, lint, typeCheck };

import * as path from "node:path";
import type { Context } from "../context";
import { CliError } from "../errors";
import { EXIT } from "../exit-codes";
import type { Backend } from "../run/backend";
import { executeRun } from "../run/execute";
import { type RunSummary, writeSummary } from "../run/summary";
import { deploy } from "../support/deploy";
import { fetchInto } from "../support/fetch";
import { type LedgerSession, withLedger } from "../support/ledger";
import { choiceOf, choosePipeline, type Deployed } from "../support/pipelines";
import { releasedFiles, releasedLines } from "../support/released";
import { reportLines } from "../support/report";
import { shortRun } from "../support/runs";
import { startServices } from "./dev";
import { runLines } from "./run";

const STACK = "local";

/** `sealflow start` (npm start): services, deployment, one run, fetched and verified. */
export async function start(context: Context, backend: Backend): Promise<number> {
  const { started, pid } = await startServices(context);
  context.say(
    `relying party: ${started ? "started" : "runs already"} (process ${pid}); simulated, so nothing here is confidential`,
  );
  await deploy(context, STACK);
  const deployed = choosePipeline(context.home, { stack: STACK });
  return withLedger(context, deployed, async (session) => {
    const summary = await executeRun(context, deployed, session, backend, {});
    if (summary.state !== "succeeded") {
      context.result(summary, runLines(summary, choiceOf(context.home, deployed.connection)));
      return EXIT.run;
    }
    return finish(context, deployed, session, summary);
  });
}

async function finish(
  context: Context,
  deployed: Deployed,
  session: LedgerSession,
  summary: RunSummary,
): Promise<number> {
  const { dir, report, released } = await fetchInto(context, deployed, session, summary.run, {});
  const full: RunSummary = {
    ...summary,
    released: await releasedFiles(context.root, released),
    receiptsVerified: report.receipts.verified,
    folder: path.relative(context.root, dir).split(path.sep).join("/"),
  };
  writeSummary(context.home, full);
  if (!report.ok) {
    context.result({ ...full, problems: report.problems }, reportLines(report));
    return EXIT.verification;
  }
  if (Object.keys(released).length === 0) {
    throw new CliError(
      "NO_RUN",
      `run ${shortRun(summary.run)}: nothing was released to the owner's key on this machine`,
    );
  }
  context.result(full, [
    "",
    `released by run ${shortRun(summary.run)} of ${deployed.connection.name}:`,
    ...releasedLines(full.released),
    `receipts verified: ${report.receipts.verified}/${report.receipts.expected}`,
    `artefacts: ${context.show(dir)}`,
    "next:",
    ...nextCommands(context.show(dir), full, choiceOf(context.home, deployed.connection)).map((line) => `  ${line}`),
  ]);
  return EXIT.ok;
}

const nextCommands = (dir: string, { steps }: RunSummary, choice: string): string[] => [
  `npx sealflow verify ${dir}`,
  `npx sealflow logs ${steps[0]?.name ?? ""}${choice}`,
  `npx sealflow status${choice}`,
  `npx sealflow run${choice}`,
  "npx sealflow pulumi -- preview --stack local",
  "npx sealflow dev --stop",
];

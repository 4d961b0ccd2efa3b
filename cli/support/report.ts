/** A verification report for people. What is in it of a folder or a program stays on the line that says whose it is. */
import type { Finding, Report } from "../../owner/verify";
import { pathText } from "../../protocol/quoted";
import { oneLine } from "./one-line";
import { shortRun } from "./runs";

const MAX_PROBLEMS = 20;

export function reportLines(report: Report): string[] {
  const { receipts, head, objects, released } = report;
  const lines = [
    `run ${report.run === "" ? "(unreadable)" : shortRun(report.run)} of pipeline "${report.name}", version ${report.version}`,
    `pipeline id: ${report.pipelineUid === "" ? "(unreadable)" : report.pipelineUid}`,
    `receipts verified: ${receipts.verified}/${receipts.expected}`,
    `ledger head: ${head ? `${head.size} entries, ${new Date(head.at * 1000).toISOString()}` : "none that verifies"}`,
    `objects: ${objects.checked} checked, ${objects.absent} not in the folder`,
  ];
  if (released.reopened > 0) lines.push(`released: ${released.reopened} opened again and equal`);
  if (released.copies > 0) {
    lines.push(
      `released: ${released.copies} plaintext copies, not covered by receipts; --release-key compares them with their objects`,
    );
  }
  for (const step of report.steps.filter((s) => s.trustProgram !== undefined)) {
    lines.push(`note: ${step.step} ran without isolation from the runner: ${step.trustProgram}`);
  }
  for (const step of report.steps.filter((s) => s.acceptRollback !== undefined)) {
    lines.push(`note: ${step.step} had scratch on a disk that the host can roll back: ${step.acceptRollback}`);
  }
  if (report.ok) return lines.map(oneLine);
  const hidden = report.problems.length - MAX_PROBLEMS;
  return [
    ...lines.map(oneLine),
    `NOT VERIFIED: ${report.problems.length} problem${report.problems.length === 1 ? "" : "s"}`,
    ...report.problems.slice(0, MAX_PROBLEMS).map(problemLine),
    ...(hidden > 0 ? [`  … and ${hidden} more (--json shows all)`] : []),
  ];
}

const problemLine = ({ code, file, entry, message }: Finding): string =>
  oneLine(`  ${pathText(file)}${entry === undefined ? "" : `, ${entry}`}: ${message} [${code}]`);

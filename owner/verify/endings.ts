/** No commit counts after the owner or the ledger had ended its version or run (guarantee G4). */
import type { LogEntry } from "../../protocol/messages";
import type { VerifiedCommit } from "./commits";
import { type Log, logLine } from "./log";
import type { Findings } from "./report";
import type { VerifiedRun } from "./request";
import type { VerifiedRevocation, Version } from "./versions";

export function checkEndings(
  run: VerifiedRun,
  versions: readonly Version[],
  revocations: readonly VerifiedRevocation[],
  counted: readonly VerifiedCommit[],
  log: Log,
  findings: Findings,
): void {
  const revoked = revocations.filter(
    ({ revoke }) => revoke.descriptor === null || revoke.descriptor === run.version.digest,
  );
  const ends = log
    .find({ run: run.run })
    .filter(({ kind }) => kind === "cancel" || kind === "expire" || kind === "close");
  const expires = run.entry && run.entry.at + run.version.descriptor.runSeconds;
  for (const { file, entry } of counted) {
    if (!entry) continue;
    const after = (end: LogEntry): boolean => end.seq < entry.seq;
    for (const { entry: end } of revoked.filter((r) => after(r.entry))) {
      findings.add("ENDED", file, `was counted after the version had been revoked (${logLine(end.seq)})`);
    }
    for (const end of ends.filter(after)) {
      findings.add("ENDED", file, `was counted after the run had ended (${logLine(end.seq)}: ${end.kind})`);
    }
    if (run.entry && run.entry.seq > entry.seq) findings.add("ENDED", file, "was counted before the run was opened");
    if (expires !== undefined && entry.at >= expires)
      findings.add("ENDED", file, "was counted after the run had expired");
    for (const successor of successorsOf(run, versions)) {
      const end = successor.entry;
      if (end && after(end) && entry.at >= end.at + successor.descriptor.drainSeconds) {
        const { sequence } = successor.descriptor;
        findings.add("ENDED", file, `was counted after version ${sequence} had closed the run's (${logLine(end.seq)})`);
      }
    }
  }
}

const successorsOf = (run: VerifiedRun, versions: readonly Version[]): Version[] =>
  versions.filter((v) => v.descriptor.sequence > run.version.descriptor.sequence);

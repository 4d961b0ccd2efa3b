/** Commits and reported failures of the run: signatures, fields, the log's entries, and exactly one count per shard. */
import { utf8 } from "../../protocol/bytes";
import { jcs } from "../../protocol/canonical";
import { skippedSteps } from "../../protocol/conditions";
import { publicKey, sha256hex } from "../../protocol/crypto";
import { SealflowError } from "../../protocol/errors";
import { verifyJws } from "../../protocol/jws";
import {
  type Commit,
  commit,
  type DescriptorStep,
  type Head,
  LOG_RELEASE,
  type LogEntry,
  receiptDigest,
  type Statement,
  subjectName,
  verifyReceipt,
} from "../../protocol/messages";
import { edgeName } from "../../protocol/names";
import { commitFile, failureFile, LOG } from "../run-folder/layout";
import type { Folder } from "./folder";
import { groupBy } from "./group";
import { type Log, logLine } from "./log";
import type { Findings } from "./report";
import type { VerifiedRun } from "./request";

export interface VerifiedCommit {
  readonly file: string;
  readonly commit: Commit;
  readonly receipt: Statement;
  readonly step: DescriptorStep;
  /** The head that the claim was answered with; undefined (and a finding) when it is not one of this ledger. */
  readonly head: Head | undefined;
  /** undefined (and a finding) when the log has none. */
  readonly entry: LogEntry | undefined;
}

const COMMIT = /^(commits|failures)\/([a-z0-9-]+)\.([0-9]+)\.([0-9]+)\.jws$/;

/** Reads all commits and failures; what does not verify is a finding and is left out. */
export async function readCommits(
  folder: Folder,
  run: VerifiedRun,
  log: Log,
  findings: Findings,
): Promise<{ counted: VerifiedCommit[]; failed: VerifiedCommit[] }> {
  const counted: VerifiedCommit[] = [];
  const failed: VerifiedCommit[] = [];
  for (const { file, parts } of folder.matching(COMMIT)) {
    const outcome = parts[0] === "commits" ? "ok" : "failed";
    const read = await readCommit(folder, file, parts[1] ?? "", outcome, run, log, findings);
    if (read) (outcome === "ok" ? counted : failed).push(read);
  }
  checkCounts(counted, run, findings);
  checkLogged(counted, failed, run, log, findings);
  return { counted, failed };
}

async function readCommit(
  folder: Folder,
  file: string,
  stepName: string,
  outcome: Commit["outcome"],
  run: VerifiedRun,
  log: Log,
  findings: Findings,
): Promise<VerifiedCommit | undefined> {
  const token = folder.text(file);
  if (token === undefined) return undefined;
  const { steps } = run.version.descriptor;
  const step = Object.hasOwn(steps, stepName) ? steps[stepName] : undefined;
  if (!step) {
    findings.add("RECEIPT", file, `the version has no step "${stepName}"`);
    return undefined;
  }
  try {
    const c = await verifyJws("sealflow-commit+jwt", token, publicKey("Ed25519", step.publicKey), commit);
    const receipt = verifyReceipt(c.receipt, step.publicKey);
    const wanted = outcome === "ok" ? commitFile(c) : failureFile(c);
    if (wanted !== file || c.outcome !== outcome) {
      findings.add(
        "RECEIPT",
        file,
        `is the ${c.outcome} end of ${c.step} shard ${c.shard} attempt ${c.attempt}`,
        "step",
      );
      return undefined;
    }
    for (const { entry, message } of fieldProblems(c, receipt, step, run))
      findings.add("RECEIPT", file, message, entry);
    const { head, problem } = await log.extendsSigned(receipt.predicate.head);
    if (problem) findings.add("HEAD_PIN", file, problem, "receipt.head");
    return { file, commit: c, receipt, step, head, entry: checkEntry(file, c, run, log, findings) };
  } catch (error) {
    if (!(error instanceof SealflowError)) throw error;
    const code = error.code === "SIGNATURE" ? "SIGNATURE" : "SHAPE";
    findings.add(code, file, `is not a commit signed with the step's key: ${error.message}`);
    return undefined;
  }
}

interface Problem {
  readonly entry: string;
  readonly message: string;
}

/** What commit and receipt repeat, against version and request. */
function fieldProblems(
  c: Commit,
  { subject, predicate: p }: Statement,
  step: DescriptorStep,
  run: VerifiedRun,
): Problem[] {
  const { request, version } = run;
  const bits = Object.keys(step.outputs).filter((output) => step.outputs[output]?.declassify !== undefined);
  const expected: [string, unknown, unknown][] = [
    ["pipelineUid", request.pipelineUid, c.pipelineUid],
    ["run", run.run, c.run],
    ["programId", step.programId, c.programId],
    ["receipt.pipelineUid", request.pipelineUid, p.pipelineUid],
    ["receipt.descriptor", version.digest, p.descriptor],
    ["receipt.run", run.run, p.run],
    ["receipt.step", c.step, p.step],
    ["receipt.shard", c.shard, p.shard],
    ["receipt.attempt", c.attempt, p.attempt],
    ["receipt.programId", step.programId, p.programId],
    ["receipt.identity", step.identity, p.identity],
    ["receipt.parameters", sha256hex(request.parameters[c.step] ?? ""), p.parameters],
    ["receipt.trustProgram", step.trustProgram, p.trustProgram],
    ["receipt.acceptRollback", step.acceptRollback, p.acceptRollback],
  ];
  const problems = expected.flatMap(([entry, wanted, found]) =>
    wanted === found ? [] : [{ entry, message: `expected ${wanted ?? "none"}, found ${found ?? "none"}` }],
  );
  if (p.isolation === "none" && step.trustProgram === undefined) {
    problems.push({
      entry: "receipt.isolation",
      message: "the program was not isolated, and the version does not allow that",
    });
  }
  if (c.attempt > step.limits.retryLimit + 1) {
    problems.push({ entry: "attempt", message: `the step has at most ${step.limits.retryLimit + 1} attempts` });
  }
  const ok = c.outcome === "ok";
  if (ok !== (p.exitClass === "ok")) {
    problems.push({ entry: "receipt.exitClass", message: `"${p.exitClass}" with outcome "${c.outcome}"` });
  }
  const outputs = ok ? Object.keys(step.outputs) : [];
  problems.push(...setProblems("outputs", outputs, Object.keys(c.outputs)));
  const objects = [...Object.entries(c.outputs), [LOG_RELEASE, c.log] as const];
  problems.push(
    ...setProblems(
      "receipt.subject",
      objects.map(([output, { digest }]) => `${subjectName(c.step, output, c.shard)} ${digest}`),
      subject.map((s) => `${s.name} ${s.digest.sha256}`),
    ),
  );
  problems.push(...setProblems("receipt.declassified", ok ? bits : [], Object.keys(p.declassified ?? {})));
  if (jcs(p.declassified ?? {}) !== jcs(c.declassified ?? {})) {
    problems.push({ entry: "declassified", message: "is not what the receipt says" });
  }
  const committed = Object.keys(p.keyCommits);
  for (const [output] of objects) {
    if (ok && !committed.includes(edgeName(c.step, output))) {
      problems.push({ entry: "receipt.keyCommits", message: `"${edgeName(c.step, output)}" is missing` });
    }
  }
  return problems;
}

/** The log's entry of this end of an attempt. It holds a digest over everything that the receipt does not repeat. */
function checkEntry(file: string, c: Commit, run: VerifiedRun, log: Log, findings: Findings): LogEntry | undefined {
  const kind = c.outcome === "ok" ? "commit" : "failure";
  const digest = receiptDigest(c.receipt);
  const [entry] = log.find({ kind, digest });
  if (!entry) {
    findings.add("LOG", file, `the ledger's log has no ${kind} entry for this receipt`);
    return undefined;
  }
  const content = sha256hex(utf8(jcs({ outputs: c.outputs, log: c.log, releases: c.releases })));
  const expected: [string, unknown, unknown][] = [
    ["run", run.run, entry.run],
    ["step", c.step, entry.step],
    ["shard", c.shard, entry.shard],
    ["attempt", c.attempt, entry.attempt],
    ["content", content, entry.content],
  ];
  for (const [field, wanted, found] of expected) {
    if (wanted !== found) {
      findings.add(
        "LOG",
        file,
        `${field}: the log's ${logLine(entry.seq)} says ${found ?? "nothing"}, expected ${wanted}`,
        field,
      );
    }
  }
  return entry;
}

/** Steps that the declassified bits of the counted receipts let nobody run. */
export function skippedBy(counted: readonly VerifiedCommit[], { version }: VerifiedRun): Set<string> {
  const bits = counted.flatMap(({ commit: c, receipt: { predicate: p } }) =>
    Object.entries(p.declassified ?? {}).map(([output, bit]) => [edgeName(c.step, output), bit] as const),
  );
  return skippedSteps(version.descriptor.steps, new Map(bits));
}

/** Exactly one counted commit for every step and shard of the version, but for steps that are skipped. */
function checkCounts(counted: readonly VerifiedCommit[], run: VerifiedRun, findings: Findings): void {
  const places = byPlace(counted);
  const skipped = skippedBy(counted, run);
  for (const { file, commit: c } of counted) {
    if (skipped.has(c.step)) findings.add("CONDITION", file, `${c.step} is to be skipped in this run`);
  }
  for (const [step, { limits }] of Object.entries(run.version.descriptor.steps)) {
    if (skipped.has(step)) continue;
    for (let shard = 0; shard < limits.shards; shard++) {
      const own = places.get(placeOf(step, shard)) ?? [];
      if (own.length === 0) {
        findings.add(
          "RECEIPT_MISSING",
          `commits/${step}.${shard}`,
          `there is no valid receipt of ${step} shard ${shard}`,
        );
      }
      for (const { file } of own.slice(1)) {
        findings.add("RECEIPT_TWICE", file, `${step} shard ${shard} has been committed already`);
      }
    }
  }
  for (const { file, commit: c, step } of counted) {
    if (c.shard >= step.limits.shards) {
      findings.add("RECEIPT", file, `the step has ${step.limits.shards} shards`, "shard");
    }
  }
}

/** The log counts nothing that the folder lacks, nothing twice, and every end follows its attempt. */
function checkLogged(
  counted: readonly VerifiedCommit[],
  failed: readonly VerifiedCommit[],
  run: VerifiedRun,
  log: Log,
  findings: Findings,
): void {
  const known = new Set([...counted, ...failed].flatMap(({ entry }) => (entry ? [entry.seq] : [])));
  const seen = new Set<string>();
  const own = log.find({ run: run.run });
  const granted = groupBy(
    own.filter(({ kind }) => kind === "attempt"),
    (a) => `${a.step}/${a.shard}/${a.attempt}`,
  );
  for (const entry of own) {
    if (entry.kind !== "commit" && entry.kind !== "failure") continue;
    const at = logLine(entry.seq);
    if (!known.has(entry.seq)) {
      findings.add("LOG", LOG, `the ${entry.kind} of ${entry.step} shard ${entry.shard} is not in the folder`, at);
    }
    const place = placeOf(entry.step ?? "", entry.shard ?? 0);
    if (entry.kind === "commit" && seen.has(place)) {
      findings.add("RECEIPT_TWICE", LOG, `${entry.step} shard ${entry.shard} was counted before`, at);
    }
    if (entry.kind === "commit") seen.add(place);
    const { step, shard, attempt } = entry;
    const started = granted.get(`${step}/${shard}/${attempt}`) ?? [];
    if (started.length !== 1 || (started[0]?.seq ?? 0) > entry.seq) {
      findings.add("LOG", LOG, `${step} shard ${shard}: attempt ${attempt} was not granted once before`, at);
    }
  }
}

/** By step and shard. */
export const byPlace = (commits: readonly VerifiedCommit[]): ReadonlyMap<string, VerifiedCommit[]> =>
  groupBy(commits, ({ commit: c }) => placeOf(c.step, c.shard));

export const placeOf = (step: string, shard: number): string => `${step}/${shard}`;

export function setProblems(entry: string, wanted: string[], found: string[]): Problem[] {
  const problems: Problem[] = [];
  const left = new Set(wanted);
  for (const f of found) if (!left.delete(f)) problems.push({ entry, message: `"${f}" does not belong there` });
  for (const w of left) problems.push({ entry, message: `"${w}" is missing` });
  return problems;
}

/** The run request: signed by a run key of a version, for that version's datasets, logged while that version was open. */
import { publicKey } from "../../protocol/crypto";
import { ProtocolError } from "../../protocol/errors";
import { jwsDigest, peekJws, verifyJws } from "../../protocol/jws";
import { type LogEntry, type RunRequest, runRequest } from "../../protocol/messages";
import { LOG, REQUEST } from "../run-folder/layout";
import type { Folder } from "./folder";
import { type Log, logLine } from "./log";
import type { Findings } from "./report";
import type { Version } from "./versions";

export interface VerifiedRun {
  /** The run's id. */
  readonly run: string;
  readonly request: RunRequest;
  readonly version: Version;
  readonly entry: LogEntry | undefined;
}

/** @param expected run id that the caller means. */
export async function readRequest(
  folder: Folder,
  versions: readonly Version[],
  log: Log,
  expected: string | undefined,
  findings: Findings,
): Promise<VerifiedRun | undefined> {
  const token = folder.text(REQUEST);
  if (token === undefined) return undefined;
  const run = jwsDigest(token);
  if (expected !== undefined && run !== expected) {
    findings.add("REQUEST", REQUEST, `is of run ${run}, expected ${expected}`);
  }
  try {
    const unverified = peekJws("sealflow-run+jwt", token, runRequest);
    const version = versions.find((v) => v.digest === unverified.descriptor);
    if (!version) {
      findings.add("REQUEST", REQUEST, `there is no version ${unverified.descriptor} in the folder`, "descriptor");
      return undefined;
    }
    if (!version.descriptor.runKeys.includes(unverified.runKey)) {
      findings.add("REQUEST", REQUEST, `${unverified.runKey} is not a run key of the version`, "runKey");
      return undefined;
    }
    const request = await verifyJws("sealflow-run+jwt", token, publicKey("Ed25519", unverified.runKey), runRequest);
    checkContent(request, version, findings);
    if (request.head !== null) {
      const { problem } = await log.extendsSigned(request.head);
      if (problem) findings.add("HEAD_PIN", REQUEST, problem, "head");
    }
    return { run, request, version, entry: checkEntry(run, version, versions, log, findings) };
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    findings.add(error.code === "SIGNATURE" ? "SIGNATURE" : "SHAPE", REQUEST, error.message);
    return undefined;
  }
}

function checkContent(request: RunRequest, { descriptor: d }: Version, findings: Findings): void {
  if (request.pipelineUid !== d.pipelineUid) findings.add("REQUEST", REQUEST, "is for another pipeline", "pipelineUid");
  for (const [input, { digest }] of Object.entries(d.datasets)) {
    const found = request.inputs[input];
    if (found !== digest) {
      findings.add("INPUTS", REQUEST, `expected ${digest}, found ${found ?? "nothing"}`, `inputs.${input}`);
    }
  }
  for (const input of Object.keys(request.inputs)) {
    if (!Object.hasOwn(d.datasets, input))
      findings.add("INPUTS", REQUEST, "is no dataset of the version", `inputs.${input}`);
  }
  for (const step of Object.keys(request.parameters)) {
    if (!Object.hasOwn(d.steps, step))
      findings.add("REQUEST", REQUEST, "is no step of the version", `parameters.${step}`);
  }
}

/** Once in the log, after its version and before that version's successor. */
function checkEntry(
  run: string,
  version: Version,
  versions: readonly Version[],
  log: Log,
  findings: Findings,
): LogEntry | undefined {
  const [entry, twice] = log.find({ kind: "run", digest: run });
  if (!entry) {
    findings.add("LOG", REQUEST, "the ledger's log has no entry for this run");
    return undefined;
  }
  const at = logLine(entry.seq);
  if (twice) findings.add("LOG", LOG, `run ${run} is there twice`, logLine(twice.seq));
  if (entry.run !== run) findings.add("LOG", LOG, "the entry of the run names another run", at);
  if (version.entry && version.entry.seq > entry.seq)
    findings.add("LOG", LOG, "the run was opened before its version", at);
  const next = versions.find((v) => v.descriptor.sequence === version.descriptor.sequence + 1);
  if (next?.entry && next.entry.seq < entry.seq) {
    findings.add(
      "ENDED",
      LOG,
      `the run was opened after version ${next.descriptor.sequence} had closed its version`,
      at,
    );
  }
  return entry;
}

/**
 * What opened the run: a request signed by a run key of a version, for that version's datasets, or a slot of a schedule
 * that the version lists; logged while that version was open.
 */
import { publicKey } from "../../protocol/crypto";
import { ProtocolError } from "../../protocol/errors";
import { type ImportSource, verifyImport } from "../../protocol/imports";
import { jwsDigest, verifyJws } from "../../protocol/jws";
import { type LogEntry, type RunRequest, runRequest, schedule } from "../../protocol/messages";
import { contentOf, type Opening, peekOpening, type RunContent, runIdOf } from "../../protocol/opening";
import { isSlot } from "../../protocol/slots";
import { LOG, REQUEST } from "../run-folder/layout";
import type { Folder } from "./folder";
import { type Log, logLine } from "./log";
import type { Findings } from "./report";
import type { Version } from "./versions";

export interface VerifiedRun {
  /** The run's id. */
  readonly run: string;
  /** What opened it. */
  readonly request: RunContent;
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
  const run = runIdOf(token);
  if (expected !== undefined && run !== expected) {
    findings.add("REQUEST", REQUEST, `is of run ${run}, expected ${expected}`);
  }
  try {
    const opening = peekOpening(token);
    return opening.kind === "request"
      ? await readRunRequest(run, opening.request, token, versions, log, findings)
      : await readSlot(run, opening, versions, log, findings);
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    findings.add(error.code === "SIGNATURE" ? "SIGNATURE" : "SHAPE", REQUEST, error.message);
    return undefined;
  }
}

async function readRunRequest(
  run: string,
  unverified: RunRequest,
  token: string,
  versions: readonly Version[],
  log: Log,
  findings: Findings,
): Promise<VerifiedRun | undefined> {
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
  await checkImports(request.imports ?? {}, version.descriptor, findings);
  if (request.head !== null) {
    const { problem } = await log.extendsSigned(request.head);
    if (problem) findings.add("HEAD_PIN", REQUEST, problem, "head");
  }
  const entry = checkEntry(run, version, versions, log, findings);
  if (entry && entry.at > request.expiresAt) {
    findings.add(
      "REQUEST",
      REQUEST,
      `was opened at ${entry.at}, after it had expired at ${request.expiresAt}`,
      "expiresAt",
    );
  }
  return { run, request: contentOf({ kind: "request", token, request }), version, entry };
}

/** A slot that the owner's schedule has, of a schedule that the version lists, opened in its time by the ledger's clock. */
async function readSlot(
  run: string,
  { token, slot, schedule: unverified }: Opening & { kind: "slot" },
  versions: readonly Version[],
  log: Log,
  findings: Findings,
): Promise<VerifiedRun | undefined> {
  const bad = (message: string, entry?: string) => findings.add("SCHEDULE", REQUEST, message, entry);
  const [logged] = log.find({ kind: "run", digest: run });
  const version = versions.find((v) => v.digest === logged?.version);
  if (!logged || !version) {
    findings.add("LOG", REQUEST, "the ledger's log does not say of which version in the folder the slot's run is");
    return undefined;
  }
  const { descriptor: d } = version;
  const key = publicKey("Ed25519", d.ownerPublicKey);
  const signed = await verifyJws("sealflow-schedule+jwt", token, key, schedule);
  if (signed.pipelineUid !== d.pipelineUid) bad("is of another pipeline", "pipelineUid");
  const listed = d.schedules && Object.hasOwn(d.schedules, unverified.name) ? d.schedules[unverified.name] : undefined;
  if (listed !== jwsDigest(token)) bad(`version ${d.sequence} does not list this schedule`, "name");
  if (!isSlot(signed.cron, slot)) bad(`${slot} is no slot of "${signed.cron}"`, "slot");
  if (logged.at < slot) bad(`was opened at ${logged.at}, before its slot ${slot}`, "slot");
  if (logged.at > slot + signed.lateSeconds) bad(`was opened at ${logged.at}, too late for its slot ${slot}`, "slot");
  const content = contentOf({ kind: "slot", token, schedule: signed, slot });
  return { run, request: content, version, entry: checkEntry(run, version, versions, log, findings) };
}

/** The run pins exactly the imports of its version, and each is what the other pipeline released. */
async function checkImports(
  pinned: RunContent["imports"],
  d: Version["descriptor"],
  findings: Findings,
): Promise<void> {
  const wanted = new Map<string, ImportSource>();
  for (const { inputs } of Object.values(d.steps)) {
    for (const { imported } of Object.values(inputs)) if (imported) wanted.set(imported.input, imported);
  }
  for (const input of Object.keys(pinned)) {
    if (!wanted.has(input)) findings.add("IMPORT", REQUEST, "is no import of the version", `imports.${input}`);
  }
  for (const [input, source] of wanted) {
    const given = Object.hasOwn(pinned, input) ? pinned[input] : undefined;
    if (!given) {
      findings.add("IMPORT", REQUEST, "pins no release", `imports.${input}`);
      continue;
    }
    try {
      await verifyImport(source, given);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      findings.add("IMPORT", REQUEST, error.message, `imports.${input}`);
    }
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

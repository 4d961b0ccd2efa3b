/**
 * Verifies a run folder offline (guarantee G5): as of the head in it, assuming that the KBS released keys to attested
 * guests only. Nothing in the folder is believed that does not follow from the keys given here.
 */
import { publicKey } from "../../protocol/crypto";
import type { Descriptor } from "../../protocol/messages";
import type { Recipient } from "../release";
import { descriptorFile, HEAD, MANIFEST, REQUEST } from "../run-folder/layout";
import { readCommits, skippedBy, type VerifiedCommit } from "./commits";
import { checkEdges } from "./edges";
import { checkEndings } from "./endings";
import { Folder } from "./folder";
import { Log, type PinnedHead } from "./log";
import { checkObjects } from "./objects";
import { checkReleased } from "./released";
import { Findings, type Report, type VerifiedStep } from "./report";
import { readRequest } from "./request";
import { matchVersions, readChain, readRevocations } from "./versions";

export interface VerifyOptions {
  /** Raw Ed25519, base64url; from outside the folder. */
  readonly ownerPublicKey: string;
  /** Raw Ed25519, base64url; from outside the folder. */
  readonly ledgerKey: string;
  /** Pipeline that the caller means; without it, whichever of the owner's the folder holds. */
  readonly pipelineUid?: string;
  /** Run that the caller means; without it, whichever the folder holds. */
  readonly run?: string;
  /** A head of this ledger that the caller saw before: the log must extend it. */
  readonly pinnedHead?: PinnedHead;
  /** Opens releases again and compares them with released/. */
  readonly recipient?: Recipient;
}

/** What else callers inside the owner's domain need of a verified run. */
export interface VerifiedFolder {
  readonly report: Report;
  readonly counted: readonly VerifiedCommit[];
  readonly failed: readonly VerifiedCommit[];
  readonly log: Log;
  /** The version that ran, as it was verified: never read it from the folder again. Undefined when there is none. */
  readonly descriptor: Descriptor | undefined;
}

/** @throws RunFolderError FOLDER_MISSING, ProtocolError KEY for a malformed key; bad content is in the report. */
export async function verifyRunFolder(dir: string, options: VerifyOptions): Promise<Report> {
  return (await verifyFolder(dir, options)).report;
}

export async function verifyFolder(dir: string, options: VerifyOptions): Promise<VerifiedFolder> {
  const { ownerPublicKey, ledgerKey } = options;
  publicKey("Ed25519", ownerPublicKey);
  publicKey("Ed25519", ledgerKey);
  const findings = new Findings();
  const folder = new Folder(dir, findings);
  const chain = await readChain(folder, { ownerPublicKey, ledgerKey }, findings);
  const first = chain[0]?.descriptor;
  const pipelineUid = first?.pipelineUid ?? "";
  if (first && options.pipelineUid !== undefined && pipelineUid !== options.pipelineUid) {
    const message = `is of the owner's pipeline ${pipelineUid}, expected ${options.pipelineUid}`;
    findings.add("CHAIN", descriptorFile(1), message, "pipelineUid");
  }
  const log = await Log.read(folder, ledgerKey, pipelineUid, findings);
  await checkPin(log, options.pinnedHead, findings);
  const versions = matchVersions(chain, log, findings);
  const revocations = await readRevocations(folder, options, pipelineUid, log, findings);
  const run = await readRequest(folder, versions, log, options.run, findings);

  let counted: VerifiedCommit[] = [];
  let failed: VerifiedCommit[] = [];
  let skipped = new Set<string>();
  let objects = { checked: 0, absent: 0 };
  let released = { reopened: 0, copies: 0 };
  if (run) {
    const d = run.version.descriptor;
    ({ counted, failed } = await readCommits(folder, run, log, findings));
    skipped = skippedBy(counted, run);
    checkEdges(d, run.request, counted, findings);
    checkEndings(run, versions, revocations, counted, log, findings);
    objects = await checkObjects(folder, run, [...counted, ...failed], findings);
    released = await checkReleased(folder, d, counted, options.recipient, findings);
  }
  await checkManifest(folder, run?.run, pipelineUid, findings);

  const report: Report = {
    ok: findings.list.length === 0 && run !== undefined,
    run: run?.run ?? "",
    pipelineUid,
    name: first?.name ?? "",
    version: run?.version.descriptor.sequence ?? 0,
    receipts: {
      verified: counted.filter(({ file }) => !findings.in(file)).length,
      expected: Object.entries(run?.version.descriptor.steps ?? {})
        .filter(([step]) => !skipped.has(step))
        .reduce((n, [, { limits }]) => n + limits.shards, 0),
    },
    steps: counted.map(stepOf),
    skipped: [...skipped].sort(),
    failures: failed.length,
    head: log.head ? { size: log.head.size, root: log.head.root, at: log.head.at } : null,
    objects,
    released,
    problems: findings.list,
  };
  return { report, counted, failed, log, descriptor: run?.version.descriptor };
}

async function checkPin(log: Log, pinned: PinnedHead | undefined, findings: Findings): Promise<void> {
  if (pinned === undefined) return;
  const problem =
    typeof pinned === "string" ? (await log.extendsSigned(pinned)).problem : await log.contradicts(pinned);
  if (problem) findings.add("HEAD_PIN", HEAD, problem);
}

/** The manifest only catches accidents; whoever changes the folder on purpose writes another one. */
async function checkManifest(folder: Folder, run: string | undefined, uid: string, findings: Findings): Promise<void> {
  const manifest = await folder.manifest();
  if (!manifest) return;
  if (run !== undefined && manifest.run !== run)
    findings.add("REQUEST", MANIFEST, `${REQUEST} is of run ${run}`, "run");
  if (uid !== "" && manifest.pipelineUid !== uid) {
    findings.add("CHAIN", MANIFEST, `the descriptors are of pipeline ${uid}`, "pipelineUid");
  }
}

const stepOf = ({ commit: c, receipt: { predicate: p } }: VerifiedCommit): VerifiedStep => ({
  step: c.step,
  shard: c.shard,
  attempt: c.attempt,
  programId: p.programId,
  identity: p.identity,
  isolation: p.isolation,
  ...(p.trustProgram === undefined ? {} : { trustProgram: p.trustProgram }),
  ...(p.acceptRollback === undefined ? {} : { acceptRollback: p.acceptRollback }),
});

/** The pipeline's versions: an unbroken chain of owner-signed descriptors, and the owner's revocations. */
import { publicKey } from "../../protocol/crypto";
import { SealflowError } from "../../protocol/errors";
import { jwsDigest, verifyJws } from "../../protocol/jws";
import { type Descriptor, type LogEntry, type Revoke, revoke } from "../../protocol/messages";
import { verifyDescriptor } from "../descriptor";
import { descriptorFile, LOG } from "../run-folder/layout";
import type { Folder } from "./folder";
import { type Log, logLine } from "./log";
import type { Findings } from "./report";

export interface Version {
  readonly file: string;
  readonly digest: string;
  readonly descriptor: Descriptor;
  /** Where the log has it; undefined (and a finding) when it has not. */
  readonly entry: LogEntry | undefined;
}

export interface VerifiedRevocation {
  readonly revoke: Revoke;
  readonly entry: LogEntry;
}

interface Keys {
  readonly ownerPublicKey: string;
  readonly ledgerKey: string;
}

const DESCRIPTOR = /^descriptors\/([1-9][0-9]{0,9})\.jws$/;
const REVOCATION = /^revocations\/([0-9a-f]{64})\.jws$/;

export interface SignedVersion {
  readonly file: string;
  readonly token: string;
  readonly descriptor: Descriptor;
}

/** Verifies signatures and the chain, without the log. */
export async function readChain(folder: Folder, keys: Keys, findings: Findings): Promise<SignedVersion[]> {
  const versions: SignedVersion[] = [];
  const count = folder.matching(DESCRIPTOR).length;
  if (count === 0) findings.add("FILE_MISSING", descriptorFile(1), "there is no descriptor");
  let predecessor: string | null = null;
  for (let sequence = 1; sequence <= count; sequence++) {
    const file = descriptorFile(sequence);
    const token = folder.text(file);
    if (token === undefined) break;
    try {
      const descriptor = await verifyDescriptor(token, keys.ownerPublicKey);
      const before = versions.at(-1)?.descriptor;
      if (before && descriptor.generation < before.generation) {
        findings.add(
          "GENERATION",
          file,
          `has generation ${descriptor.generation} after ${before.generation}`,
          "generation",
        );
      }
      checkLink(file, descriptor, sequence, predecessor, versions[0]?.descriptor, keys, findings);
      versions.push({ file, token, descriptor });
    } catch (error) {
      if (!(error instanceof SealflowError)) throw error;
      const code = error.code === "SIGNATURE" || error.code === "DESCRIPTOR_OWNER" ? "SIGNATURE" : "SHAPE";
      findings.add(code, file, `is not a version signed by the given owner: ${error.message}`);
    }
    predecessor = jwsDigest(token);
  }
  return versions;
}

function checkLink(
  file: string,
  d: Descriptor,
  sequence: number,
  predecessor: string | null,
  first: Descriptor | undefined,
  keys: Keys,
  findings: Findings,
): void {
  const expected: [string, unknown, unknown][] = [
    ["sequence", sequence, d.sequence],
    ["predecessor", predecessor, d.predecessor],
    ["ledgerKey", keys.ledgerKey, d.ledgerKey],
    ["pipelineUid", first?.pipelineUid ?? d.pipelineUid, d.pipelineUid],
  ];
  for (const [field, wanted, found] of expected) {
    if (wanted !== found) findings.add("CHAIN", file, `expected ${wanted}, found ${found}`, field);
  }
}

/** Each version has one log entry, in order, and the log has no version that the folder lacks. */
export function matchVersions(chain: SignedVersion[], log: Log, findings: Findings): Version[] {
  const logged = log.find({ kind: "descriptor" });
  for (const entry of logged) {
    if (!chain.some(({ token }) => jwsDigest(token) === entry.digest)) {
      findings.add("LOG", LOG, `version ${entry.digest} is not in the folder`, logLine(entry.seq));
    }
  }
  let last = -1;
  return chain.map(({ file, token, descriptor }) => {
    const digest = jwsDigest(token);
    const [entry, twice] = logged.filter((e) => e.digest === digest);
    if (!entry) findings.add("LOG", file, "the ledger's log has no entry for this version");
    else if (twice) findings.add("LOG", LOG, `version ${digest} is there twice`, logLine(twice.seq));
    else if (entry.seq < last) findings.add("LOG", file, "was registered before its predecessor");
    if (entry) last = entry.seq;
    return { file, digest, descriptor, entry };
  });
}

/** The owner's revocations; the log and the folder have the same. */
export async function readRevocations(
  folder: Folder,
  { ownerPublicKey, ledgerKey }: Keys,
  pipelineUid: string,
  log: Log,
  findings: Findings,
): Promise<VerifiedRevocation[]> {
  const found: VerifiedRevocation[] = [];
  const logged = log.find({ kind: "revoke" });
  const files = folder.matching(REVOCATION);
  for (const entry of logged) {
    if (!files.some(({ parts }) => parts[0] === entry.digest)) {
      findings.add("LOG", LOG, `revocation ${entry.digest} is not in the folder`, logLine(entry.seq));
    }
  }
  for (const { file, parts } of files) {
    const token = folder.text(file);
    if (token === undefined) continue;
    const entry = logged.find((e) => e.digest === parts[0]);
    if (jwsDigest(token) !== parts[0]) findings.add("SHAPE", file, "is not named after its digest");
    else if (!entry) findings.add("LOG", file, "the ledger's log has no entry for this revocation");
    try {
      const read = await verifyJws("sealflow-revoke+jwt", token, publicKey("Ed25519", ownerPublicKey), revoke);
      if (read.pipelineUid !== pipelineUid) findings.add("CHAIN", file, "is for another pipeline", "pipelineUid");
      else if (read.ledgerKey !== ledgerKey) findings.add("CHAIN", file, "is for another ledger", "ledgerKey");
      else if (entry) found.push({ revoke: read, entry });
    } catch (error) {
      if (!(error instanceof SealflowError)) throw error;
      findings.add("SIGNATURE", file, `is not signed by the given owner: ${error.message}`);
    }
  }
  return found;
}

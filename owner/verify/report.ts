/** What verification found. */

/**
 * Append only. FILE_MISSING, FILE_UNKNOWN, FILE_CHANGED: against the manifest. SHAPE: not of its form.
 * SIGNATURE: not signed by the key that must have signed it. CHAIN: the versions of the pipeline do not follow each
 * other. REQUEST: the run request is not one of this pipeline's version. LOG: the log is not what its head signs, or
 * lacks or contradicts an entry. HEAD_PIN: the log does not extend a head that somebody saw. RECEIPT_MISSING,
 * RECEIPT_TWICE: not exactly one counted commit. RECEIPT: a field of commit or receipt contradicts the version, request
 * or log. INPUTS: not the producers' outputs or the pinned datasets. RELEASES: not the version's releases.
 * OBJECT: a ciphertext is missing or is another. ENDED: a commit after revocation, closing, cancel or expiry.
 * RELEASED: a released plaintext is not what its object holds. SCHEDULE: the slot that opened the run is none that the
 * version's schedule allows. IMPORT: another pipeline's release is not what its owner and ledger signed. CONDITION: a
 * step ran, or a bit was declassified, against the conditions. GENERATION: the generation of keys went back.
 */
export type FindingCode =
  | "FILE_MISSING"
  | "FILE_UNKNOWN"
  | "FILE_CHANGED"
  | "SHAPE"
  | "SIGNATURE"
  | "CHAIN"
  | "REQUEST"
  | "LOG"
  | "HEAD_PIN"
  | "RECEIPT_MISSING"
  | "RECEIPT_TWICE"
  | "RECEIPT"
  | "INPUTS"
  | "RELEASES"
  | "OBJECT"
  | "ENDED"
  | "RELEASED"
  | "SCHEDULE"
  | "IMPORT"
  | "CONDITION"
  | "GENERATION";

export interface Finding {
  readonly code: FindingCode;
  /** File of the folder. */
  readonly file: string;
  /** Field or line in it; absent when it is the whole file. */
  readonly entry?: string;
  readonly message: string;
}

export interface VerifiedStep {
  readonly step: string;
  readonly shard: number;
  readonly attempt: number;
  readonly programId: string;
  readonly identity: string;
  readonly isolation: "namespaces" | "none";
  /** The waiver that was in force, if any. */
  readonly trustProgram?: string;
  readonly acceptRollback?: string;
}

export interface Report {
  readonly ok: boolean;
  /** "" when not even that could be read. */
  readonly run: string;
  readonly pipelineUid: string;
  readonly name: string;
  /** Sequence of the version that ran. */
  readonly version: number;
  readonly receipts: { readonly verified: number; readonly expected: number };
  readonly steps: readonly VerifiedStep[];
  /** Steps that did not run because of a condition. */
  readonly skipped: readonly string[];
  readonly failures: number;
  /** The log as the ledger signed it: state "as of" this head. */
  readonly head: { readonly size: number; readonly root: string; readonly at: number } | null;
  readonly objects: { readonly checked: number; readonly absent: number };
  /** Released plaintexts: opened again and compared, or only compared with the manifest. */
  readonly released: { readonly reopened: number; readonly copies: number };
  readonly problems: readonly Finding[];
}

/** Collects findings; nothing throws on bad content. */
export class Findings {
  readonly list: Finding[] = [];

  add(code: FindingCode, file: string, message: string, entry?: string): void {
    this.list.push({ code, file, message, ...(entry === undefined ? {} : { entry }) });
  }

  in(file: string): boolean {
    return this.list.some((finding) => finding.file === file);
  }
}

/** What deriveStep needs to know; plain data. The compiled plan of model/ has a superset of it. */
import type { Program } from "../../protocol/messages";

export interface StepPlan {
  readonly name: string;
  /** Program and its arguments, as one list. */
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly inputs: Program["inputs"];
  readonly outputs: Program["outputs"];
  /** Releases of this step's outputs; recipients by name, `owner` is added when missing. */
  readonly releases: readonly {
    readonly output: string;
    readonly as: string;
    readonly recipients?: readonly string[];
  }[];
  readonly limits: Program["limits"];
  readonly when?: Program["when"] | undefined;
  /** Default false. */
  readonly egress?: boolean;
  /** Default "visible". */
  readonly exitClass?: "visible" | "hidden";
  readonly trustProgram?: string;
  readonly acceptRollback?: string;
}

export interface SealedImageFacts {
  /** SHA-256 of the sealed manifest: `sha256:<hex>` or hex alone. */
  readonly digest: string;
  readonly kekId: string;
  /** As the node pulls it, with the digest. */
  readonly reference: string;
}

/** The public part of a relying party that every guest is built for. */
export interface StepConnection {
  readonly kbsUrl: string;
  readonly ledgerUrl: string;
  readonly caPem: string;
  readonly ledgerKey: string;
}

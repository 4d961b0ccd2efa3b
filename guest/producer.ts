/** Proofs that a step's commit counts: its receipt is of this run and program, and stands in the log. */
import { utf8 } from "../protocol/bytes";
import { publicKey } from "../protocol/crypto";
import { verifyJws } from "../protocol/jws";
import { verifyConsistency, verifyInclusion } from "../protocol/merkle";
import {
  type ClaimCondition,
  type ClaimInput,
  head,
  leafBytes,
  logEntry,
  receiptDigest,
  type Statement,
  subjectName,
  verifyReceipt,
} from "../protocol/messages";
import { parseEdgeName } from "../protocol/names";
import { parse } from "../protocol/shape";
import type { Assignment } from "./answer";
import type { OpenedBundle } from "./bundle";
import { RunnerError, refuseWith } from "./errors";

/** A commit with its proofs; of an input or of a condition. */
type Committed = ClaimCondition & { readonly edge: string; readonly shard: number };

/**
 * The producer's receipt says: this object, of this edge, shard, attempt and run, made by the program the version
 * names; and its commit stands in the log.
 * @returns the receipt's commitment to the object key.
 */
export async function verifyProducer(
  opened: OpenedBundle,
  work: Assignment,
  input: ClaimInput,
  wrong: (what: string) => RunnerError,
): Promise<string> {
  const { step, output } = parseEdgeName(input.edge);
  const { subject, predicate: p } = await verifyCommitted(opened, work, input, wrong);
  const mine = subject.filter((s) => s.name === subjectName(step, output, input.shard));
  if (mine.length !== 1 || mine[0]?.digest.sha256 !== input.object.digest) {
    throw wrong("its receipt names another object");
  }
  const commitment = Object.hasOwn(p.keyCommits, input.edge) ? p.keyCommits[input.edge] : undefined;
  if (!commitment) throw wrong("its receipt does not commit to a key");
  return commitment;
}

/** @param wrong makes the refusal. @returns the receipt, of this run and of the program that the version names. */
export async function verifyCommitted(
  { bundle }: OpenedBundle,
  work: Assignment,
  input: Committed,
  wrong: (what: string) => RunnerError,
): Promise<Statement> {
  const { step } = parseEdgeName(input.edge);
  const producer = work.descriptor.steps[step];
  if (!producer) throw wrong("the version has no such producer");
  const receipt = await refuseWith("INPUT_RECEIPT", `receipt of ${input.edge}`, () =>
    verifyReceipt(input.receipt, producer.publicKey),
  );
  const p = receipt.predicate;
  const fits =
    p.pipelineUid === work.descriptor.pipelineUid &&
    p.descriptor === work.descriptorDigest &&
    p.run === work.run &&
    p.step === step &&
    p.shard === input.shard &&
    p.attempt === input.attempt &&
    p.attempt <= producer.limits.retryLimit + 1 &&
    p.programId === producer.programId &&
    p.identity === producer.identity &&
    p.exitClass === "ok" &&
    p.trustProgram === producer.trustProgram &&
    p.acceptRollback === producer.acceptRollback &&
    (p.isolation === "namespaces" || producer.trustProgram !== undefined);
  if (!fits) throw wrong("its receipt is of another run, attempt or program");
  await verifyLogged(bundle.ledger.publicKey, work, input, p.head);
  return receipt;
}

/** The commit is a leaf of the log that the answer's head signs, and came after the head its producer was given. */
async function verifyLogged(ledgerKey: string, work: Assignment, input: Committed, claimHead: string): Promise<void> {
  const { step } = parseEdgeName(input.edge);
  await refuseWith("LOG_PROOF", `log entry of ${input.edge}`, async () => {
    const entry = parse(logEntry, JSON.parse(input.leafBytes) as unknown, "log entry");
    const bytes = utf8(input.leafBytes);
    const same =
      Buffer.from(leafBytes(entry)).equals(bytes) &&
      entry.seq === input.leaf &&
      entry.kind === "commit" &&
      entry.pipelineUid === work.descriptor.pipelineUid &&
      entry.run === work.run &&
      entry.step === step &&
      entry.shard === input.shard &&
      entry.attempt === input.attempt &&
      entry.digest === receiptDigest(input.receipt);
    if (!same) throw new RunnerError("LOG_PROOF", `log entry of ${input.edge}: is of another commit`);
    verifyInclusion(bytes, input.leaf, work.head.size, input.inclusion, work.head.root);
    const before = await verifyJws("sealflow-head+jwt", claimHead, publicKey("Ed25519", ledgerKey), head);
    if (before.ledgerKey !== ledgerKey || before.size > input.leaf) {
      throw new RunnerError("LOG_PROOF", `log entry of ${input.edge}: older than the claim it answers`);
    }
    // One ledger that shows different logs to producer and reader cannot give this proof.
    verifyConsistency(before, work.head, input.consistency);
  });
}

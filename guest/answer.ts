/**
 * Everything in a `go` answer that does not depend on object bytes, checked with the owner's and the step's keys before
 * anything is used: descriptor, run request, log. Order as in docs/protocol, section 4.
 */
import { fromBase64url } from "../protocol/bytes";
import { jcs } from "../protocol/canonical";
import { privateKey, publicKey, rawPublic } from "../protocol/crypto";
import { openFrom } from "../protocol/jwe";
import { jwsDigest, type Part, verifyJws, verifyPart } from "../protocol/jws";
import { objectName } from "../protocol/keys";
import { verifyConsistency } from "../protocol/merkle";
import {
  type ClaimGo,
  type Descriptor,
  descriptor,
  type Head,
  head,
  type RunRequest,
  runRequest,
  runSecretContext,
  schedule,
} from "../protocol/messages";
import { edgeName } from "../protocol/names";
import { contentOf, type Opening, peekOpening, type RunContent, runIdOf } from "../protocol/opening";
import { isSlot } from "../protocol/slots";
import type { OpenedBundle } from "./bundle";
import type { Granted } from "./claim";
import { RunnerError, refuseWith } from "./errors";

/** Name of the log among a step's objects; no output may have it. */
export const LOG = "log";

/** What is to be done, verified. */
export interface Assignment {
  readonly go: ClaimGo;
  readonly run: string;
  readonly shard: number;
  readonly attempt: number;
  readonly descriptor: Descriptor;
  readonly descriptorDigest: string;
  /** What opened the run. */
  readonly request: RunContent;
  /** Head of the log, JWS and content. */
  readonly headToken: string;
  readonly head: Head;
  readonly runSecret: Uint8Array;
}

/** @throws RunnerError with exit code 31. */
export async function verifyAnswer(opened: OpenedBundle, { go, claim, ephemeral }: Granted): Promise<Assignment> {
  const { bundle } = opened;
  // Its own row and its producers', each proven to be of this version; the other steps are none of its business.
  const { message: checked } = await refuseWith("DESCRIPTOR", "descriptor", () =>
    verifyPart("sealflow-descriptor+jwt", go.descriptor, publicKey("Ed25519", bundle.ownerPublicKey), descriptor),
  );
  checkDescriptor(opened, checked);
  const descriptorDigest = jwsDigest(go.descriptor);
  const request = await verifyOpening(go, checked, descriptorDigest, bundle.program.step);
  const newHead = await verifyLog(opened, go, request);
  checkPlace(opened, go);
  const runSecret = await refuseWith("ANSWER", "run secret", () =>
    openFrom(ephemeral, runSecretContext(go.run, claim), go.runSecret),
  );
  if (runSecret.length !== 32) throw new RunnerError("ANSWER", "run secret: expected 32 bytes");
  return {
    go,
    run: go.run,
    shard: go.shard,
    attempt: go.attempt,
    descriptor: checked,
    descriptorDigest,
    request,
    headToken: go.head,
    head: newHead,
    runSecret,
  };
}

/** The version is of this pipeline and ledger, and names exactly this guest. */
function checkDescriptor({ bundle, digest, programId }: OpenedBundle, d: Descriptor): void {
  const { program } = bundle;
  const wrong = (what: string) => new RunnerError("DESCRIPTOR", `descriptor: ${what}`);
  if (d.pipelineUid !== program.pipelineUid) throw wrong("is of another pipeline");
  if (d.ownerPublicKey !== bundle.ownerPublicKey) throw wrong("names another owner");
  if (d.ledgerKey !== bundle.ledger.publicKey) throw wrong("names another ledger");
  const step = Object.hasOwn(d.steps, program.step) ? d.steps[program.step] : undefined;
  if (!step) throw wrong("does not have this step");
  const signer = publicOfSeed(bundle.signingSeed);
  const same =
    step.programId === programId &&
    step.identity === bundle.identity &&
    step.bundle === digest &&
    step.publicKey === signer &&
    step.exitClass === program.exitClass &&
    step.trustProgram === program.trustProgram &&
    step.acceptRollback === program.acceptRollback &&
    jcs([step.inputs, step.outputs, step.limits, step.when ?? null]) ===
      jcs([program.inputs, program.outputs, program.limits, program.when ?? null]);
  if (!same) throw wrong("its entry for this step is not this guest's program");
}

/** What opened the run is signed by a run key, or is a slot of a schedule that the owner signed and this version lists. */
async function verifyOpening(go: ClaimGo, d: Descriptor, descriptorDigest: string, step: string): Promise<RunContent> {
  if (runIdOf(go.request) !== go.run) throw wrongRequest("is not the one that the run id names");
  const opening = await refuseWith("REQUEST", "run request", async () => peekOpening(go.request));
  if (opening.kind === "slot") return verifySlot(opening, d, step);
  return verifyRequest(go, d, descriptorDigest, step);
}

const wrongRequest = (what: string) => new RunnerError("REQUEST", `run request: ${what}`);

/** Parameters that were left out would run the step with others than the request's. */
function requireParameters({ decides }: Part<unknown>, step: string): void {
  if (!decides(step)) throw wrongRequest("does not show this step's parameters, nor that it has none");
}

async function verifyRequest(go: ClaimGo, d: Descriptor, descriptorDigest: string, step: string): Promise<RunContent> {
  // A listed key must have signed; which one, the request says itself.
  const failures: unknown[] = [];
  for (const key of d.runKeys) {
    try {
      const part = await verifyPart("sealflow-run+jwt", go.request, publicKey("Ed25519", key), runRequest);
      const request = part.message;
      if (request.runKey !== key) throw wrongRequest("names another key than its signer's");
      if (request.pipelineUid !== d.pipelineUid) throw wrongRequest("is of another pipeline");
      if (request.descriptor !== descriptorDigest) throw wrongRequest("is for another version");
      checkInputs(request, d);
      requireParameters(part, step);
      return contentOf({ kind: "request", token: go.request, request });
    } catch (error) {
      if (error instanceof RunnerError) throw error;
      failures.push(error);
    }
  }
  throw new RunnerError("REQUEST", "run request: not signed by a run key of this version", { cause: failures[0] });
}

/** Whether its time has come is not asked here: the host sets the clock, and freshness is the claim's nonce. */
async function verifySlot(
  { token, slot }: Opening & { kind: "slot" },
  d: Descriptor,
  step: string,
): Promise<RunContent> {
  return refuseWith("REQUEST", "schedule", async () => {
    const part = await verifyPart("sealflow-schedule+jwt", token, publicKey("Ed25519", d.ownerPublicKey), schedule);
    const signed = part.message;
    if (signed.pipelineUid !== d.pipelineUid) throw wrongRequest("its schedule is of another pipeline");
    const listed = d.schedules && Object.hasOwn(d.schedules, signed.name) ? d.schedules[signed.name] : undefined;
    if (listed !== jwsDigest(token)) throw wrongRequest("its schedule is not one of this version");
    if (!isSlot(signed.cron, slot)) throw wrongRequest("its schedule has no such slot");
    requireParameters(part, step);
    return contentOf({ kind: "slot", token, schedule: signed, slot });
  });
}

/** The request pins exactly the datasets of the version. */
function checkInputs(request: RunRequest, d: Descriptor): void {
  const pinned = Object.fromEntries(Object.entries(d.datasets).map(([name, { digest }]) => [name, digest]));
  if (jcs(pinned) !== jcs(request.inputs)) throw wrongRequest("its inputs are not the version's");
}

/** The log that the ledger shows now extends the one that the requester saw. */
async function verifyLog({ bundle }: OpenedBundle, go: ClaimGo, request: RunContent): Promise<Head> {
  const key = publicKey("Ed25519", bundle.ledger.publicKey);
  return refuseWith("LOG_PROOF", "log", async () => {
    const now = await verifyJws("sealflow-head+jwt", go.head, key, head);
    if (now.ledgerKey !== bundle.ledger.publicKey) throw new RunnerError("LOG_PROOF", "head: names another ledger");
    if (request.head === null) {
      if (go.consistency.length > 0) throw new RunnerError("LOG_PROOF", "log: a proof from no head");
      return now;
    }
    const before = await verifyJws("sealflow-head+jwt", request.head, key, head);
    if (before.ledgerKey !== now.ledgerKey) throw new RunnerError("LOG_PROOF", "log: heads of two ledgers");
    verifyConsistency(before, now, go.consistency);
    return now;
  });
}

/** Attempt and shard are within the step's limits, and uploads go where readers will look for them. */
function checkPlace({ bundle }: OpenedBundle, go: ClaimGo): void {
  const { program } = bundle;
  const { limits } = program;
  if (go.attempt > limits.retryLimit + 1) {
    throw new RunnerError("ATTEMPT", `attempt ${go.attempt} of at most ${limits.retryLimit + 1}`);
  }
  if (go.shard >= limits.shards) throw new RunnerError("ATTEMPT", `shard ${go.shard} of ${limits.shards}`);
  const outputs = Object.keys(program.outputs).sort();
  if (jcs(outputs) !== jcs(Object.keys(go.uploads).sort())) {
    throw new RunnerError("ANSWER", "claim answer: places for other outputs than the step's");
  }
  for (const [output, place] of [...Object.entries(go.uploads), [LOG, go.log] as const]) {
    const expected = objectName(go.run, edgeName(program.step, output), go.shard, go.attempt);
    if (place.object !== expected) throw new RunnerError("ANSWER", `claim answer: ${output} has another place`);
  }
}

const publicOfSeed = (seed: string): string => rawPublic(privateKey("Ed25519", fromBase64url(seed)));

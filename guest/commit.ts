/** The end of an attempt: signed receipt, releases wrapped to their recipients, commit to the ledger. */
import { randomBytes } from "node:crypto";
import { base64url, fromBase64url } from "../protocol/bytes";
import { privateKey, publicKey, rawPublic, sha256hex } from "../protocol/crypto";
import { sealTo } from "../protocol/jwe";
import { jwsDigest, signJws, verifyJws } from "../protocol/jws";
import {
  type Commit,
  commitAnswer,
  type Dsse,
  type EXIT_CLASSES,
  LOG_RELEASE,
  logRelease,
  releaseContext,
  signReceipt,
  subjectName,
} from "../protocol/messages";
import { edgeName } from "../protocol/names";
import { type Assignment, LOG } from "./answer";
import type { OpenedBundle } from "./bundle";
import { tokenOf } from "./claim";
import { RunnerError, refuseWith } from "./errors";
import type { ReceiptInput } from "./input-object";
import type { Network } from "./net/https";
import type { WrittenObject } from "./outputs";

export interface AttemptEnd {
  readonly exitClass: (typeof EXIT_CLASSES)[number];
  /** What was read completely. */
  readonly inputs: readonly ReceiptInput[];
  /** Output → object; empty unless the exit class is ok. */
  readonly outputs: Readonly<Record<string, WrittenObject>>;
  readonly log: WrittenObject;
  readonly isolation: "namespaces" | "none";
}

type Status = "committed" | "recorded" | "superseded";

/** @throws RunnerError COMMIT_REFUSED, ANSWER, LEDGER_UNREACHABLE, STORE_UNREACHABLE (objects are not there). */
export async function commitAttempt(
  opened: OpenedBundle,
  work: Assignment,
  end: AttemptEnd,
  network: Network,
): Promise<Status> {
  const { bundle } = opened;
  const { program } = bundle;
  const key = privateKey("Ed25519", fromBase64url(bundle.signingSeed));
  const content: Commit = {
    v: 1,
    pipelineUid: program.pipelineUid,
    run: work.run,
    step: program.step,
    shard: work.shard,
    attempt: work.attempt,
    programId: opened.programId,
    outcome: end.exitClass === "ok" ? "ok" : "failed",
    outputs: Object.fromEntries(Object.entries(end.outputs).map(([name, o]) => [name, reference(o)])),
    log: reference(end.log),
    ...bitsOf(end),
    receipt: receiptOf(opened, work, end),
    releases: await releasesOf(opened, work, end),
    nonce: base64url(randomBytes(32)),
  };
  const token = await signJws("sealflow-commit+jwt", content, key);
  const answerToken = await tokenOf(network, "/v1/commits", token, "COMMIT_REFUSED");
  const answer = await refuseWith("ANSWER", "commit answer", () =>
    verifyJws("sealflow-commit-answer+jwt", answerToken, publicKey("Ed25519", bundle.ledger.publicKey), commitAnswer),
  );
  if (answer.commit !== jwsDigest(token)) throw new RunnerError("ANSWER", "commit answer: answers another commit");
  if (answer.status === "refused") {
    const code = answer.refusal === "OBJECT_MISSING" ? "STORE_UNREACHABLE" : "COMMIT_REFUSED";
    throw new RunnerError(code, `commit refused: ${answer.refusal ?? "no reason"}`);
  }
  return answer.status;
}

const reference = ({ digest, size }: WrittenObject) => ({ digest, size });

function receiptOf({ bundle, programId }: OpenedBundle, work: Assignment, end: AttemptEnd): Dsse {
  const { program } = bundle;
  const key = privateKey("Ed25519", fromBase64url(bundle.signingSeed));
  const objects = [...Object.entries(end.outputs), [LOG, end.log] as const];
  const { trustProgram, acceptRollback } = program;
  return signReceipt(
    {
      subject: objects.map(([name, { digest }]) => ({
        name: subjectName(program.step, name, work.shard),
        digest: { sha256: digest },
      })),
      predicate: {
        v: 1,
        pipelineUid: program.pipelineUid,
        descriptor: work.descriptorDigest,
        run: work.run,
        step: program.step,
        shard: work.shard,
        attempt: work.attempt,
        programId,
        identity: bundle.identity,
        inputs: [...end.inputs],
        parameters: sha256hex(work.request.parameters[program.step] ?? ""),
        keyCommits: Object.fromEntries(objects.map(([name, o]) => [edgeName(program.step, name), o.keyCommit])),
        plaintext: Object.fromEntries(
          Object.entries(end.outputs).map(([name, o]) => [edgeName(program.step, name), o.plaintext]),
        ),
        ...bitsOf(end),
        exitClass: end.exitClass,
        head: work.headToken,
        isolation: end.isolation,
        ...(trustProgram === undefined ? {} : { trustProgram }),
        ...(acceptRollback === undefined ? {} : { acceptRollback }),
      },
    },
    key,
    rawPublic(key),
  );
}

/** Declassified outputs, when there are any. */
function bitsOf({ outputs }: AttemptEnd): { declassified?: Record<string, boolean> } {
  const bits = Object.entries(outputs).flatMap(([name, { bit }]) => (bit === undefined ? [] : [[name, bit] as const]));
  return bits.length > 0 ? { declassified: Object.fromEntries(bits) } : {};
}

/** Outputs' keys only with success; the log's key to the owner always. */
async function releasesOf({ bundle }: OpenedBundle, work: Assignment, end: AttemptEnd): Promise<Commit["releases"]> {
  const { program } = bundle;
  const releases: Commit["releases"] = {};
  if (end.exitClass === "ok") {
    for (const { output, as, recipients } of program.releases) {
      const object = end.outputs[output];
      if (!object) throw new RunnerError("INTERNAL", `release ${as}: no output ${output}`);
      releases[as] = await wrapped(object.key, recipients, releaseContext(work.run, as));
    }
  }
  const owner = Object.hasOwn(work.descriptor.recipients, "owner") ? work.descriptor.recipients.owner : undefined;
  if (owner) {
    const context = releaseContext(work.run, logRelease(program.step, work.shard, work.attempt));
    releases[LOG_RELEASE] = await wrapped(end.log.key, { owner }, context);
  }
  return releases;
}

async function wrapped(
  key: Uint8Array,
  recipients: Readonly<Record<string, string>>,
  context: string,
): Promise<Record<string, string>> {
  const sealed: Record<string, string> = {};
  for (const [name, to] of Object.entries(recipients)) sealed[name] = await sealTo(to, context, key);
  return sealed;
}

/** The claim loop: asks the ledger for work until it says go, or that there is none. */
import { generateKeyPairSync, type KeyObject, randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { base64url, fromBase64url } from "../protocol/bytes";
import { privateKey, publicKey, rawPublic } from "../protocol/crypto";
import { jwsDigest, signJws, verifyJws } from "../protocol/jws";
import { type Claim, type ClaimGo, claimAnswer, type REFUSALS } from "../protocol/messages";
import { json, object, parse, text } from "../protocol/shape";
import type { OpenedBundle } from "./bundle";
import { type RunnerCode, RunnerError, refuseWith } from "./errors";
import type { Network } from "./net/https";

export interface Granted {
  readonly go: ClaimGo;
  /** jwsDigest of the claim that was answered. */
  readonly claim: string;
  /** Private half of the claim's X25519 key; opens the run secret. */
  readonly ephemeral: KeyObject;
}

const REFUSAL_CODES: Record<(typeof REFUSALS)[number], RunnerCode> = {
  PIPELINE_UNKNOWN: "PIPELINE_UNKNOWN",
  NO_OPEN_RUN: "NO_OPEN_RUN",
  VERSION_CLOSED: "VERSION_CLOSED",
  REVOKED: "REVOKED",
  RUN_UNKNOWN: "CLAIM_REFUSED",
  RUN_CLOSED: "RUN_CLOSED",
  ATTEMPTS_EXHAUSTED: "ATTEMPTS_EXHAUSTED",
};

/** A claim's answer has a receipt and its proofs, some 6 KB, for each of up to 5000 objects that a step may read. */
const MAX_TOKEN = 60_000_000;
/** Whoever verifies the token looks at its form. */
const tokenAnswer = object({ token: text({ max: MAX_TOKEN }) });
const ledgerError = object({ error: object({ code: text({ max: 60 }), message: json }) });

/**
 * @param onWait called when the ledger says wait.
 * @returns what is to be done, or why nothing is. @throws RunnerError.
 */
export async function claimWork(
  opened: OpenedBundle,
  runHint: string | null,
  network: Network,
  onWait: () => void,
): Promise<Granted | "superseded" | "skipped"> {
  const { bundle } = opened;
  const key = privateKey("Ed25519", fromBase64url(bundle.signingSeed));
  const ledgerKey = publicKey("Ed25519", bundle.ledger.publicKey);
  // Monotonic: the host sets the clock.
  const until = performance.now() + bundle.program.limits.waitSeconds * 1000;
  for (;;) {
    const { publicKey: ephemeralPublic, privateKey: ephemeral } = generateKeyPairSync("x25519");
    const content: Claim = {
      v: 1,
      pipelineUid: bundle.program.pipelineUid,
      step: bundle.program.step,
      programId: opened.programId,
      bundle: opened.digest,
      runHint,
      nonce: base64url(randomBytes(32)),
      ephemeralKey: rawPublic(ephemeralPublic),
    };
    const token = await signJws("sealflow-claim+jwt", content, key);
    const claim = jwsDigest(token);
    const answerToken = await tokenOf(network, "/v1/claims", token, "CLAIM_REFUSED");
    const answer = await refuseWith("ANSWER", "claim answer", () =>
      verifyJws("sealflow-claim-answer+jwt", answerToken, ledgerKey, claimAnswer),
    );
    if (answer.claim !== claim) throw new RunnerError("ANSWER", "claim answer: answers another claim");
    switch (answer.status) {
      case "go":
        if (!answer.go) throw new RunnerError("ANSWER", "claim answer: go without content");
        return { go: answer.go, claim, ephemeral };
      case "superseded":
      case "skipped":
        return answer.status;
      case "refused":
        throw new RunnerError(
          answer.refusal ? REFUSAL_CODES[answer.refusal] : "CLAIM_REFUSED",
          `claim refused: ${answer.refusal ?? "no reason"}`,
        );
      case "wait": {
        const pause = answer.retryAfterMs ?? 1000;
        if (performance.now() + pause > until) throw new RunnerError("NOT_READY", "inputs are not ready in time");
        onWait();
        await sleep(pause);
      }
    }
  }
}

/** Sends a signed message; an answer that is no token is a refusal. @throws RunnerError `refused`, LEDGER_UNREACHABLE. */
export async function tokenOf(network: Network, path: string, token: string, refused: RunnerCode): Promise<string> {
  const { status, body } = await network.postLedger(path, { token });
  if (status !== 200) {
    let code = `status ${status}`;
    try {
      code = parse(ledgerError, body, "ledger").error.code;
    } catch {
      // Not the ledger's form: the status says enough.
    }
    if (code === "BUSY") throw new RunnerError("LEDGER_UNREACHABLE", "the ledger is busy");
    throw new RunnerError(refused, `ledger ${path}: ${code}`);
  }
  return refuseWith("ANSWER", `ledger ${path}`, () => parse(tokenAnswer, body, "answer").token);
}

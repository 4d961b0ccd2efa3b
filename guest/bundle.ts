/** The step's bundle: fetched through the CDH, believed only with the signature of the owner baked into the image. */
import { readFile } from "node:fs/promises";
import { request } from "node:http";
import { fromBase64url } from "../protocol/bytes";
import { publicKey } from "../protocol/crypto";
import { jwsDigest, verifyJws } from "../protocol/jws";
import { type Bundle, bundle, programId } from "../protocol/messages";
import { key32 } from "../protocol/messages/common";
import { literal, object, parse } from "../protocol/shape";
import type { StepAddress } from "./environment";
import { RunnerError, refuseWith } from "./errors";
import { retrying } from "./net/retry";

/** The CDH of every guest listens here; nothing outside of the guest can. */
export const CDH_URL = "http://127.0.0.1:8006";
const MAX_BUNDLE_BYTES = 4 * 1024 * 1024;
const CDH_TIMEOUT_MS = 60_000;

const ownerFile = object({ v: literal(1), ownerPublicKey: key32 });

export interface OpenedBundle {
  readonly bundle: Bundle;
  /** jwsDigest of the text: what claims and descriptors name. */
  readonly digest: string;
  /** Recomputed from the bundle. */
  readonly programId: string;
}

/** The owner's public key of the measured image. @throws RunnerError OWNER_KEY. */
export const readOwnerKey = (path: string): Promise<string> =>
  refuseWith("OWNER_KEY", "owner.json of the image", async () => {
    const content: unknown = JSON.parse(await readFile(path, "utf8"));
    return parse(ownerFile, content, "owner.json").ownerPublicKey;
  });

/** @throws RunnerError KBS_UNREACHABLE (retry) or BUNDLE_DENIED. */
export const fetchBundle = (resource: string, cdh = CDH_URL): Promise<string> =>
  retrying("KBS_UNREACHABLE", `bundle ${resource}`, () => getText(`${cdh}/cdh/resource/${resource}`));

/** Signature, then that it is the program this guest was measured for. @throws RunnerError. */
export async function openBundle(token: string, address: StepAddress, ownerKey: string): Promise<OpenedBundle> {
  const opened = await refuseWith("BUNDLE_SIGNATURE", "bundle", () =>
    verifyJws("sealflow-bundle+jwt", token, publicKey("Ed25519", ownerKey), bundle),
  );
  const wrong = (what: string) => new RunnerError("BUNDLE_PROGRAM", `bundle: ${what}`);
  if (opened.ownerPublicKey !== ownerKey) throw wrong("names another owner");
  if (opened.ns !== address.ns) throw wrong("is of another namespace");
  const recomputed = programId(fromBase64url(opened.blind), opened.program);
  if (recomputed !== address.programId) throw wrong("its program is not the one that this guest was measured for");
  return { bundle: opened, digest: jwsDigest(token), programId: recomputed };
}

function getText(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { agent: false, timeout: CDH_TIMEOUT_MS }, (answer) => {
      const chunks: Buffer[] = [];
      let size = 0;
      answer.on("data", (chunk: Buffer) => {
        size += chunk.length;
        if (size > MAX_BUNDLE_BYTES) sent.destroy(new RunnerError("BUNDLE_DENIED", "bundle: too large"));
        else chunks.push(chunk);
      });
      answer.on("error", reject);
      answer.on("end", () => {
        const status = answer.statusCode ?? 0;
        const body = Buffer.concat(chunks).toString("utf8");
        // The CDH says 500 to everything; only its text tells a refusal of the KBS from a KBS that is away.
        const denied = /PolicyDeny|TokenVerifierError|AttestationError/.test(body);
        if (status === 200) resolve(body.trim());
        else if ((status >= 500 || status === 429) && !denied) reject(new Error(`CDH answered ${status}`));
        else reject(new RunnerError("BUNDLE_DENIED", `bundle: the CDH answered ${status}`));
      });
    });
    sent.on("timeout", () => sent.destroy(new Error("no answer of the CDH in time")));
    sent.on("error", reject);
    sent.end();
  });
}

/** What the world may know about a pipeline's root. */
import { rawPublic } from "../../protocol/crypto";
import {
  fingerprint,
  importSeed,
  namespaceOf,
  ownerKey,
  ownerReleaseKey,
  pipelineUid,
  publicOf,
  type Root,
  runKey,
} from "../../protocol/keys";

export interface PublicFacts {
  readonly fingerprint: string;
  readonly generation: number;
  readonly ns: string;
  readonly pipelineUid: string;
  readonly stackUuid: string;
  readonly name: string;
  /** Raw Ed25519, base64url. */
  readonly ownerPublicKey: string;
  /** Raw Ed25519 of the run key. */
  readonly runKey: string;
  /** Raw X25519: this pipeline as a recipient of other pipelines' releases. */
  readonly recipientKey: string;
  /** Raw X25519: recipient `owner` of every release. */
  readonly releaseKey: string;
}

/** @param stackUuid 32 hex digits. */
export function publicFacts(root: Root, stackUuid: string, name: string): PublicFacts {
  const print = fingerprint(root);
  const ownerPublicKey = rawPublic(ownerKey(root));
  const uid = pipelineUid(ownerPublicKey, stackUuid, name);
  return {
    fingerprint: print,
    generation: root.generation,
    ns: namespaceOf(print),
    pipelineUid: uid,
    stackUuid,
    name,
    ownerPublicKey,
    runKey: rawPublic(runKey(root)),
    recipientKey: publicOf("X25519", importSeed(root, uid)),
    releaseKey: rawPublic(ownerReleaseKey(root)),
  };
}

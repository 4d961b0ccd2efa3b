/** Seals a file or bytes under an object key while they are uploaded: digest, cipher and keyed HMAC in one pass. */
import { createHmac, randomBytes } from "node:crypto";
import { PREFIX_BYTES, SALT_BYTES, StreamSealer, sealedSize } from "../protocol/stream";
import { createDigest } from "./digest";
import type { Network } from "./net/https";
import { type Place, sendInParts } from "./parts";

export interface Sealed {
  /** SHA-256 of the ciphertext, hex. */
  readonly digest: string;
  /** Bytes of the ciphertext. */
  readonly size: number;
  /** HMAC-SHA256 of the plaintext, hex. */
  readonly plaintext: string;
}

export interface Upload {
  readonly place: Place;
  readonly key: Uint8Array;
  readonly associatedData: Uint8Array;
  /** Key of the plaintext's HMAC. */
  readonly hmacKey: Uint8Array;
  /** Bytes of plaintext. */
  readonly size: number;
  /** The plaintext from its beginning; a buffer may be reused once the next is asked for. */
  readonly read: () => AsyncIterable<Uint8Array>;
}

/** The ledger's own store takes an object in one PUT; another one is asked for places, and goes on after a cut. */
function send(place: Place, size: number, network: Network, content: () => AsyncGenerator<Uint8Array>): Promise<void> {
  if (place.kind === "whole") return network.upload(place.url, size, content);
  return sendInParts(network, size, () => place.ask(size), content);
}

/** @throws RunnerError STORE_UNREACHABLE, STORE_FULL, or what `read` throws. */
export async function sealAndUpload(upload: Upload, network: Network): Promise<Sealed> {
  // Drawn once: a second try sends the same bytes, so a store that has them already can tell.
  const salt = randomBytes(SALT_BYTES);
  const prefix = randomBytes(PREFIX_BYTES);
  const size = sealedSize(upload.size);
  let result: Sealed | undefined;
  await send(upload.place, size, network, async function* () {
    const hash = createDigest(size);
    try {
      const hmac = createHmac("sha256", upload.hmacKey);
      const sealer = new StreamSealer(upload.key, upload.associatedData, salt, prefix);
      for await (const piece of upload.read()) {
        hmac.update(piece);
        for (const sealed of sealer.push(piece)) {
          hash.update(sealed);
          yield sealed;
        }
      }
      for (const sealed of sealer.end()) {
        hash.update(sealed);
        yield sealed;
      }
      result = { digest: await hash.digest(), size, plaintext: hmac.digest("hex") };
    } finally {
      hash.close();
    }
  });
  if (!result) throw new Error("object was accepted before it was complete");
  return result;
}

/** The ledger's key and everything that is signed with it. */
import type { KeyObject } from "node:crypto";
import { privateKey, publicKey, rawPublic } from "../../protocol/crypto";
import { type JwsType, signJws, verifyJws } from "../../protocol/jws";
import { type Head, head } from "../../protocol/messages";

/** Heads that were signed or verified here and are kept; each is some 400 characters. */
const MAX_HEADS = 500;
/** A head is signed again when it is older than this, seconds. */
const HEAD_SECONDS = 5;

export class Signer {
  readonly ledgerKey: string;
  readonly #key: KeyObject;
  readonly #publicKey: KeyObject;
  /** Heads by their texts: claims hand them out, receipts bring them back. */
  readonly #heads = new Map<string, Head>();
  #last: { size: number; at: number; token: Promise<string> } | undefined;

  /** @param seed Ed25519, 32 bytes. */
  constructor(
    seed: Uint8Array,
    private readonly now: () => number,
  ) {
    this.#key = privateKey("Ed25519", seed);
    this.ledgerKey = rawPublic(this.#key);
    this.#publicKey = publicKey("Ed25519", this.ledgerKey);
  }

  sign(typ: JwsType, payload: unknown): Promise<string> {
    return signJws(typ, payload, this.#key);
  }

  head({ size, root }: { size: number; root: string }): Promise<string> {
    const at = this.now();
    if (!this.#last || this.#last.size !== size || Math.abs(at - this.#last.at) > HEAD_SECONDS) {
      const payload: Head = { v: 1, ledgerKey: this.ledgerKey, size, root, at };
      const token = this.sign("sealflow-head+jwt", payload);
      this.#last = { size, at, token };
      void token.then((text) => this.#remember(text, payload));
    }
    return this.#last.token;
  }

  /** A head that this ledger signed. @throws ProtocolError. */
  async verifyHead(token: string): Promise<Head> {
    const known = this.#heads.get(token);
    if (known) return known;
    const verified = await verifyJws("sealflow-head+jwt", token, this.#publicKey, head);
    this.#remember(token, verified);
    return verified;
  }

  #remember(token: string, known: Head): void {
    this.#heads.set(token, known);
    const [oldest] = this.#heads.keys();
    if (this.#heads.size > MAX_HEADS && oldest !== undefined) this.#heads.delete(oldest);
  }
}

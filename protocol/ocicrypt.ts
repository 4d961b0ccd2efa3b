/**
 * Encrypted image layers as ocicrypt defines them, for the key provider `attestation-agent` that guests have
 * (sources: containers/ocicrypt spec/spec.go, blockcipher/blockcipher_aes_ctr.go; confidential-containers/guest-components
 * confidential-data-hub/hub/src/image; vectors: test/vectors/ocicrypt).
 *
 *   ciphertext      = AES-256-CTR(key, counter block = nonce, 128-bit big-endian increment); length of the plaintext
 *   hmac            = HMAC-SHA256(key, ciphertext)
 *   public options  = {"cipher","hmac","cipheroptions":{}}                     base64 in an annotation
 *   private options = {"symkey","digest","cipheroptions":{"nonce"}}            wrapped: AES-256-GCM(KEK, iv), no additional data
 *   packet          = {"kid","wrapped_data","iv","wrap_type":"A256GCM"}        base64 in an annotation
 *
 * Buffers of `update` belong to the caller. Bytes that an opener hands out are good only after `final` returned.
 */
import { type Cipheriv, createCipheriv, createDecipheriv, createHash, createHmac, type Decipheriv } from "node:crypto";
import { base64, buffer, concat, equalBytesHex, fromBase64, utf8 } from "./bytes";
import { equalBytes, sha256hex } from "./crypto";
import { SealflowError } from "./errors";
import { quoted } from "./quoted";

export const CIPHER = "AES_256_CTR_HMAC_SHA256";
export const PUBLIC_OPTIONS = "org.opencontainers.image.enc.pubopts";
/** Several recipients are comma-separated. Guests do not look at the last part of the name, other tools do. */
export const KEY_PACKETS = "org.opencontainers.image.enc.keys.provider.attestation-agent";

export const KEY_BYTES = 32;
/** The whole initial counter block. */
export const NONCE_BYTES = 16;
export const WRAP_IV_BYTES = 12;
const TAG_BYTES = 16;

/**
 * Append only. LAYER_FORM: annotations are missing or not of their form. LAYER_KEY: no key for this layer, or the key
 * does not open it. LAYER_AUTH: the layer's bytes are changed or cut off. LAYER_DIGEST: it decrypts to other bytes than
 * the owner sealed.
 */
export type OcicryptCode = "LAYER_FORM" | "LAYER_KEY" | "LAYER_AUTH" | "LAYER_DIGEST";
/** Never retry with the same bytes and key. */
export class OcicryptError extends SealflowError<OcicryptCode> {}

export type Annotations = Readonly<Record<string, string>>;

export interface LayerSecrets {
  readonly key: Uint8Array;
  readonly nonce: Uint8Array;
  /** SHA-256 of the plaintext, hex. */
  readonly digest: string;
}

export interface WrapOptions extends LayerSecrets {
  /** What `LayerSealer.final` returned. */
  readonly hmac: Uint8Array;
  /** `kbs:///<repository>/<type>/<tag>`: where the guest finds the KEK. */
  readonly kid: string;
  readonly kek: Uint8Array;
  /** 12 bytes for the SHA-256 (hex) of the private options; never the same for other options under one KEK. */
  readonly iv: (optionsDigest: string) => Uint8Array;
}

/** `kbs:///` and a KBS path. */
export const kidOf = (path: string): string => `kbs:///${path}`;

/** KBS path (`ns/type/tag`) of a kid. @throws OcicryptError LAYER_FORM. */
export function pathOfKid(kid: string): string {
  const match = /^kbs:\/\/\/([^/]+\/[^/]+\/[^/]+)$/.exec(kid);
  if (!match?.[1])
    throw new OcicryptError("LAYER_FORM", `key id ${quoted(kid, 100)} is not kbs:///<repository>/<type>/<tag>`);
  return match[1];
}

/** Annotations of the sealed layer's descriptor. @throws RangeError for a key, nonce or IV of a wrong size. */
export function wrapLayer(options: WrapOptions): Record<string, string> {
  const { key, nonce, digest, hmac, kid, kek } = options;
  exactly("layer key", key, KEY_BYTES);
  exactly("layer nonce", nonce, NONCE_BYTES);
  exactly("key encryption key", kek, KEY_BYTES);
  const secret = utf8(
    JSON.stringify({
      symkey: base64(key),
      digest: `sha256:${digest}`,
      cipheroptions: { nonce: base64(nonce) },
    }),
  );
  const iv = options.iv(sha256hex(secret));
  exactly("wrap IV", iv, WRAP_IV_BYTES);
  const cipher = createCipheriv("aes-256-gcm", kek, iv);
  const wrapped = concat(cipher.update(secret), cipher.final(), cipher.getAuthTag());
  const packet = { kid, wrapped_data: base64(wrapped), iv: base64(iv), wrap_type: "A256GCM" };
  return {
    [KEY_PACKETS]: base64(utf8(JSON.stringify(packet))),
    [PUBLIC_OPTIONS]: base64(utf8(JSON.stringify({ cipher: CIPHER, hmac: base64(hmac), cipheroptions: {} }))),
  };
}

export interface OpenLayer extends LayerSecrets {
  /** HMAC-SHA256 over the ciphertext. */
  readonly hmac: Uint8Array;
  readonly kid: string;
}

/** Key ids a layer can be opened with, in the order of its packets. @throws OcicryptError LAYER_FORM. */
export const kidsOf = (annotations: Annotations): string[] => packetsOf(annotations).map(({ kid }) => kid);

/**
 * Opens a layer's options with the first packet for which there is a KEK.
 * @param kekOf the 32-byte KEK of a kid, or undefined when there is none.
 * @throws OcicryptError LAYER_FORM or LAYER_KEY.
 */
export function unwrapLayer(annotations: Annotations, kekOf: (kid: string) => Uint8Array | undefined): OpenLayer {
  const open = publicOptions(annotations);
  const packets = packetsOf(annotations);
  for (const packet of packets) {
    const kek = kekOf(packet.kid);
    if (!kek) continue;
    const secret = unwrap(packet, kek);
    const at = `private options under ${packet.kid}`;
    const digest = /^sha256:([0-9a-f]{64})$/.exec(text(secret, "digest", at))?.[1];
    if (!digest) throw new OcicryptError("LAYER_FORM", `${at}: digest is not sha256:<64 hex>`);
    // Readers look into the public options first.
    const nonce = nonceIn(open.cipherOptions, "public options") ?? nonceIn(field(secret, "cipheroptions"), at);
    if (!nonce) throw new OcicryptError("LAYER_FORM", `${at}: no nonce`);
    return { key: bytes(secret, "symkey", at, KEY_BYTES), nonce, digest, hmac: open.hmac, kid: packet.kid };
  }
  throw new OcicryptError("LAYER_KEY", `no key for this layer: it needs ${packets.map((p) => p.kid).join(" or ")}`);
}

/** The cipher of one layer without its HMAC, for callers that compute that (over what `update` returns) beside it. */
export class LayerCipher {
  readonly #cipher: Cipheriv;
  /** Bytes so far. */
  size = 0;

  constructor(key: Uint8Array, nonce: Uint8Array) {
    exactly("layer key", key, KEY_BYTES);
    exactly("layer nonce", nonce, NONCE_BYTES);
    this.#cipher = createCipheriv("aes-256-ctr", key, nonce);
  }

  update(plaintext: Uint8Array): Uint8Array {
    const sealed = this.#cipher.update(plaintext);
    this.size += sealed.length;
    return sealed;
  }

  final(): void {
    this.#cipher.final();
  }
}

/** Encrypts one layer; `update` in order, then `final` once. */
export class LayerSealer {
  readonly #cipher: LayerCipher;
  readonly #mac;

  constructor(key: Uint8Array, nonce: Uint8Array) {
    this.#cipher = new LayerCipher(key, nonce);
    this.#mac = createHmac("sha256", key);
  }

  update(plaintext: Uint8Array): Uint8Array {
    const sealed = this.#cipher.update(plaintext);
    this.#mac.update(sealed);
    return sealed;
  }

  /** Size in bytes. */
  final(): { hmac: Uint8Array; size: number } {
    this.#cipher.final();
    return { hmac: new Uint8Array(this.#mac.digest()), size: this.#cipher.size };
  }
}

/** Decrypts one layer; what `update` returned may be used only when `final` returned. */
export class LayerOpener {
  readonly #layer: OpenLayer;
  readonly #decipher: Decipheriv;
  readonly #mac;
  readonly #plain = createHash("sha256");

  constructor(layer: OpenLayer) {
    this.#layer = layer;
    this.#decipher = createDecipheriv("aes-256-ctr", layer.key, layer.nonce);
    this.#mac = createHmac("sha256", layer.key);
  }

  update(ciphertext: Uint8Array): Uint8Array {
    this.#mac.update(ciphertext);
    const plaintext = this.#decipher.update(ciphertext);
    this.#plain.update(plaintext);
    return plaintext;
  }

  /** @throws OcicryptError LAYER_AUTH (changed or cut off) or LAYER_DIGEST. */
  final(): void {
    this.#decipher.final();
    if (!equalBytes(new Uint8Array(this.#mac.digest()), this.#layer.hmac))
      throw new OcicryptError("LAYER_AUTH", "HMAC of the layer differs: its bytes are changed or cut off");
    if (!equalBytesHex(new Uint8Array(this.#plain.digest()), this.#layer.digest))
      throw new OcicryptError("LAYER_DIGEST", "layer decrypts to other bytes than its options name");
  }
}

interface Packet {
  readonly kid: string;
  readonly wrapped: Uint8Array;
  readonly iv: Uint8Array;
}

function packetsOf(annotations: Annotations): Packet[] {
  const list = annotations[KEY_PACKETS];
  if (!list) throw new OcicryptError("LAYER_FORM", `annotation ${KEY_PACKETS} is missing: no key packet`);
  return list.split(",").map((part, i) => {
    const at = `key packet ${i}`;
    const value = parsed(part, at);
    const wrapType = text(value, "wrap_type", at);
    // The other type that guests know, A256CTR, does not authenticate the options.
    if (wrapType !== "A256GCM")
      throw new OcicryptError("LAYER_FORM", `${at}: wrap_type ${quoted(wrapType, 20)}, only A256GCM`);
    const wrapped = bytes(value, "wrapped_data", at);
    if (wrapped.length <= TAG_BYTES) throw new OcicryptError("LAYER_FORM", `${at}: wrapped_data is too short`);
    return { kid: text(value, "kid", at), wrapped, iv: bytes(value, "iv", at, WRAP_IV_BYTES) };
  });
}

function unwrap(packet: Packet, kek: Uint8Array): unknown {
  if (kek.length !== KEY_BYTES)
    throw new OcicryptError("LAYER_KEY", `key ${packet.kid}: ${kek.length} bytes, expected ${KEY_BYTES}`);
  const at = packet.wrapped.length - TAG_BYTES;
  const decipher = createDecipheriv("aes-256-gcm", kek, packet.iv, { authTagLength: TAG_BYTES });
  decipher.setAuthTag(buffer(packet.wrapped.subarray(at)));
  let secret: Uint8Array;
  try {
    secret = concat(decipher.update(packet.wrapped.subarray(0, at)), decipher.final());
  } catch {
    throw new OcicryptError("LAYER_KEY", `key ${packet.kid} does not open this layer's options`);
  }
  return jsonOf(secret, `private options under ${packet.kid}`);
}

function publicOptions(annotations: Annotations): { hmac: Uint8Array; cipherOptions: unknown } {
  const found = annotations[PUBLIC_OPTIONS];
  if (!found) throw new OcicryptError("LAYER_FORM", `annotation ${PUBLIC_OPTIONS} is missing: not an encrypted layer`);
  const value = parsed(found, "public options");
  const cipher = text(value, "cipher", "public options");
  if (cipher !== CIPHER) throw new OcicryptError("LAYER_FORM", `cipher ${quoted(cipher, 40)}, only ${CIPHER} is known`);
  return { hmac: bytes(value, "hmac", "public options", 32), cipherOptions: field(value, "cipheroptions") };
}

function parsed(encoded: string, at: string): unknown {
  try {
    return jsonOf(fromBase64(encoded), at);
  } catch (cause) {
    if (cause instanceof OcicryptError) throw cause;
    throw new OcicryptError("LAYER_FORM", `${at}: not base64`);
  }
}

/** The parser's own message would quote the text, which may be secret. */
function jsonOf(json: Uint8Array, at: string): unknown {
  try {
    return JSON.parse(buffer(json).toString("utf8"));
  } catch {
    throw new OcicryptError("LAYER_FORM", `${at}: not JSON`);
  }
}

function field(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null && Object.hasOwn(value, name)
    ? (value as Record<string, unknown>)[name]
    : undefined;
}

function text(value: unknown, name: string, at: string): string {
  const found = field(value, name);
  if (typeof found !== "string") throw new OcicryptError("LAYER_FORM", `${at}: ${name} is missing`);
  return found;
}

function bytes(value: unknown, name: string, at: string, length?: number): Uint8Array {
  let found: Uint8Array;
  try {
    found = fromBase64(text(value, name, at));
  } catch (cause) {
    if (cause instanceof OcicryptError) throw cause;
    throw new OcicryptError("LAYER_FORM", `${at}: ${name} is not base64`);
  }
  if (length !== undefined && found.length !== length)
    throw new OcicryptError("LAYER_FORM", `${at}: ${name} has ${found.length} bytes, expected ${length}`);
  return found;
}

const nonceIn = (options: unknown, at: string): Uint8Array | undefined =>
  field(options, "nonce") === undefined ? undefined : bytes(options, "nonce", at, NONCE_BYTES);

function exactly(what: string, found: Uint8Array, length: number): void {
  if (found.length !== length) throw new RangeError(`${what}: ${found.length} bytes, expected ${length}`);
}

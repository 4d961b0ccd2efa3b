/**
 * Encrypted OCI layers as image-rs in the guest opens them: AES_256_CTR_HMAC_SHA256 with a key-provider annotation
 * (sources: containers/ocicrypt blockcipher_aes_ctr.go, spec.go; guest-components ocicrypt-rs, attestation-agent
 * IMAGE_ENCRYPTION.md). Vectors: test/vectors/ocicrypt.
 *
 *   ciphertext = AES-256-CTR(key, nonce = full initial counter block, layer); hmac = HMAC-SHA256(key, ciphertext)
 *   public options  {"cipher","hmac","cipheroptions":{}}               → annotation enc.pubopts
 *   private options {"symkey","digest","cipheroptions":{"nonce"}}      → AES-256-GCM under the image's KEK
 *   packet          {"kid","wrapped_data","iv","wrap_type":"A256GCM"}  → annotation enc.keys.provider.attestation-agent
 */
import { createCipheriv, createDecipheriv, createHash, createHmac } from "node:crypto";
import { base64, buffer, concat, equalBytesHex, fromBase64, hex, utf8 } from "./bytes";
import { SealflowError } from "./errors";
import { object, parse, text } from "./shape";

/** LAYER_ANNOTATION: not of the form above. LAYER_KEY: the KEK does not open it. LAYER_AUTH: the bytes are not the sealed ones. */
export type LayerCode = "LAYER_ANNOTATION" | "LAYER_KEY" | "LAYER_AUTH";
/** Never retry with the same bytes. */
export class LayerError extends SealflowError<LayerCode> {}

export const PUBLIC_OPTIONS = "org.opencontainers.image.enc.pubopts";
export const KEY_PACKET = "org.opencontainers.image.enc.keys.provider.attestation-agent";
export const ENCRYPTED = "+encrypted";
const CIPHER = "AES_256_CTR_HMAC_SHA256";

/** What opens one layer. */
export interface LayerSecret {
  /** 32 bytes. */
  readonly key: Uint8Array;
  /** 16 bytes: the whole initial counter block. */
  readonly nonce: Uint8Array;
  /** `sha256:<hex>` of the layer before encryption. */
  readonly digest: string;
}

/** Private options in the field order of ocicrypt, so that equal secrets have equal bytes. */
export const privateOptions = (s: LayerSecret): Uint8Array =>
  utf8(JSON.stringify({ symkey: base64(s.key), digest: s.digest, cipheroptions: { nonce: base64(s.nonce) } }));

export interface WrapOptions {
  readonly secret: LayerSecret;
  /** HMAC-SHA256 of the ciphertext, 32 bytes. */
  readonly hmac: Uint8Array;
  /** `kbs:///<repository>/<type>/<tag>` of the KEK. */
  readonly kid: string;
  /** 32 bytes. */
  readonly kek: Uint8Array;
  /** 12 bytes; never used twice with one KEK for other private options. */
  readonly iv: Uint8Array;
}

/** @returns the annotations of the layer's descriptor. */
export function wrapLayer({ secret, hmac, kid, kek, iv }: WrapOptions): Record<string, string> {
  const cipher = createCipheriv("aes-256-gcm", kek, iv);
  const body = concat(cipher.update(privateOptions(secret)), cipher.final());
  const packet = {
    kid,
    wrapped_data: base64(concat(body, cipher.getAuthTag())),
    iv: base64(iv),
    wrap_type: "A256GCM",
  };
  return {
    [KEY_PACKET]: base64(utf8(JSON.stringify(packet))),
    [PUBLIC_OPTIONS]: base64(utf8(JSON.stringify({ cipher: CIPHER, hmac: base64(hmac), cipheroptions: {} }))),
  };
}

/** The packet's `kid`: which KEK is needed. @throws LayerError LAYER_ANNOTATION. */
export const kidOf = (annotations: Readonly<Record<string, string>>): string => packetOf(annotations).kid;

const bytesField = text({ max: 100_000 });
const packetShape = object({
  kid: text({ max: 1000 }),
  wrapped_data: bytesField,
  iv: text({ max: 100 }),
  wrap_type: text({ max: 20 }),
});

function packetOf(annotations: Readonly<Record<string, string>>) {
  const found = annotations[KEY_PACKET];
  if (found === undefined) throw new LayerError("LAYER_ANNOTATION", `layer: annotation ${KEY_PACKET} is missing`);
  const packet = decode(found, KEY_PACKET, (value) => parse(packetShape, value, KEY_PACKET));
  if (packet.wrap_type !== "A256GCM") {
    throw new LayerError("LAYER_ANNOTATION", "layer: wrap_type is not A256GCM, the only one that is made here");
  }
  return packet;
}

/**
 * @param kek 32 bytes, the KBS resource named by `kidOf`.
 * @returns the layer's secret and the HMAC its ciphertext must have.
 * @throws LayerError LAYER_ANNOTATION or LAYER_KEY.
 */
export function unwrapLayer(
  annotations: Readonly<Record<string, string>>,
  kek: Uint8Array,
): { secret: LayerSecret; hmac: Uint8Array } {
  const packet = packetOf(annotations);
  const options = annotations[PUBLIC_OPTIONS];
  if (options === undefined) throw new LayerError("LAYER_ANNOTATION", `layer: annotation ${PUBLIC_OPTIONS} is missing`);
  const hmac = decode(options, PUBLIC_OPTIONS, (value) => {
    const v = value as { cipher?: unknown; hmac?: unknown };
    if (v.cipher !== CIPHER || typeof v.hmac !== "string") throw new Error("other cipher");
    return fromBase64(v.hmac);
  });
  const body = fromBase64Or(packet.wrapped_data);
  const iv = fromBase64Or(packet.iv);
  if (kek.length !== 32 || iv.length !== 12 || body.length < 16) {
    throw new LayerError("LAYER_ANNOTATION", "layer: key packet has wrong lengths");
  }
  let plain: Uint8Array;
  try {
    const decipher = createDecipheriv("aes-256-gcm", kek, iv);
    decipher.setAuthTag(buffer(body.subarray(-16)));
    plain = concat(decipher.update(body.subarray(0, -16)), decipher.final());
  } catch {
    throw new LayerError("LAYER_KEY", "layer: the image key does not open its key packet");
  }
  try {
    const v = JSON.parse(Buffer.from(plain).toString("utf8")) as {
      symkey: string;
      digest: string;
      cipheroptions: { nonce: string };
    };
    const secret = { key: fromBase64(v.symkey), nonce: fromBase64(v.cipheroptions.nonce), digest: v.digest };
    if (secret.key.length !== 32 || secret.nonce.length !== 16 || !/^sha256:[0-9a-f]{64}$/.test(secret.digest)) {
      throw new Error("lengths");
    }
    return { secret, hmac };
  } catch {
    throw new LayerError("LAYER_ANNOTATION", "layer: private options are malformed");
  }
}

/** Encrypts a layer; `update` pieces, then `final` once. */
export class LayerSealer {
  private readonly cipher;
  private readonly mac;
  constructor(key: Uint8Array, nonce: Uint8Array) {
    this.cipher = createCipheriv("aes-256-ctr", key, nonce);
    this.mac = createHmac("sha256", key);
  }
  update(piece: Uint8Array): Uint8Array {
    const out = this.cipher.update(piece);
    this.mac.update(out);
    return out;
  }
  /** @returns HMAC of the ciphertext. */
  final(): Uint8Array {
    this.cipher.final();
    return new Uint8Array(this.mac.digest());
  }
}

/** Decrypts a layer. Bytes handed out are not authentic before `final` returned. */
export class LayerOpener {
  private readonly decipher;
  private readonly mac;
  private readonly plain = createHash("sha256");
  constructor(
    private readonly secret: LayerSecret,
    private readonly hmac: Uint8Array,
  ) {
    this.decipher = createDecipheriv("aes-256-ctr", secret.key, secret.nonce);
    this.mac = createHmac("sha256", secret.key);
  }
  update(piece: Uint8Array): Uint8Array {
    this.mac.update(piece);
    const out = this.decipher.update(piece);
    this.plain.update(out);
    return out;
  }
  /** @throws LayerError LAYER_AUTH. */
  final(): void {
    this.decipher.final();
    const same = equalBytesHex(new Uint8Array(this.mac.digest()), hex(this.hmac));
    if (!same || `sha256:${this.plain.digest("hex")}` !== this.secret.digest) {
      throw new LayerError("LAYER_AUTH", "layer: its bytes are not those that were sealed");
    }
  }
}

function decode<T>(encoded: string, name: string, read: (value: unknown) => T): T {
  try {
    return read(JSON.parse(Buffer.from(fromBase64(encoded)).toString("utf8")));
  } catch (cause) {
    throw new LayerError("LAYER_ANNOTATION", `layer: annotation ${name} is malformed`, { cause });
  }
}

function fromBase64Or(value: string): Uint8Array {
  try {
    return fromBase64(value);
  } catch {
    throw new LayerError("LAYER_ANNOTATION", "layer: key packet is not canonical base64");
  }
}

/**
 * One object's key as a Google Tink keyset (JSON, cleartext), for Tink in Python, Go or Java. Source: tink-proto
 * aes_gcm_hkdf_streaming.proto and tink.proto; read back by test vectors made with Tink.
 */
import { base64, concat } from "../../protocol/bytes";
import { SEGMENT_BYTES } from "../../protocol/stream";

const TYPE_URL = "type.googleapis.com/google.crypto.tink.AesGcmHkdfStreamingKey";
const KEY_BYTES = 32;
const SHA256 = 3;
/** Any will do: RAW ciphertexts do not carry it. */
const KEY_ID = 1;

export interface TinkKeyset {
  readonly primaryKeyId: number;
  readonly key: readonly {
    readonly keyData: { readonly typeUrl: string; readonly keyMaterialType: "SYMMETRIC"; readonly value: string };
    readonly outputPrefixType: "RAW";
    readonly keyId: number;
    readonly status: "ENABLED";
  }[];
}

/** @param key 32 bytes. @param segment ciphertext bytes per segment; default: what Sealflow writes. */
export function tinkKeyset(key: Uint8Array, segment = SEGMENT_BYTES): TinkKeyset {
  const params = concat(field(1, segment), field(2, KEY_BYTES), field(3, SHA256));
  const value = base64(concat(bytes(2, params), bytes(3, key)));
  return {
    primaryKeyId: KEY_ID,
    key: [
      {
        keyData: { typeUrl: TYPE_URL, keyMaterialType: "SYMMETRIC", value },
        outputPrefixType: "RAW",
        keyId: KEY_ID,
        status: "ENABLED",
      },
    ],
  };
}

/** Protocol buffers: varint field. */
const field = (number: number, value: number): Uint8Array => concat(varint(number << 3), varint(value));
/** Protocol buffers: length-delimited field. */
const bytes = (number: number, value: Uint8Array): Uint8Array =>
  concat(varint((number << 3) | 2), varint(value.length), value);

function varint(value: number): Uint8Array {
  const out: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Uint8Array.from([...out, rest]);
    out.push((rest % 128) | 128);
  }
}

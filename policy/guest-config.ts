/** aa.toml and cdh.toml: how the guest's attestation agent and data hub reach the KBS. Both are measured with initdata. */
import { PolicyError } from "./errors";
import { type ImageSettings, imageTable } from "./guest/image-settings";

export interface GuestConfigArgs {
  /** Base URL of the KBS, such as `https://kbs.example:8080`. */
  readonly kbsUrl: string;
  /** CA of the KBS, PEM; pin the CA, never the leaf. */
  readonly caPem: string;
  /** How images are pulled; default from their registries, unsigned, without credentials. */
  readonly images?: ImageSettings;
}

const PEM = /^(-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]+-----END CERTIFICATE-----\n)+$/;

/** @throws PolicyError GUEST_CONFIG. */
export function guestConfig({ kbsUrl, caPem, images }: GuestConfigArgs): { aa: string; cdh: string } {
  const url = checkedUrl(kbsUrl);
  const pem = checkedPem(caPem);
  return {
    aa: `[token_configs]\n[token_configs.kbs]\nurl = "${url}"\ncert = """\n${pem}"""\n`,
    cdh: `[kbc]\nname = "cc_kbc"\nurl = "${url}"\nkbs_cert = """\n${pem}"""\n\n${imageTable(images)}`,
  };
}

function checkedUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const plain = url && (url.protocol === "https:" || url.protocol === "http:") && !url.search && !url.hash;
  if (!plain || url.username || url.password || /["\\\s]/.test(text)) {
    throw new PolicyError(
      "GUEST_CONFIG",
      `KBS URL ${JSON.stringify(text)}: expected an http(s) URL without query or user`,
    );
  }
  return text.replace(/\/+$/, "");
}

/** Line ends and the final newline are normalised, so that they change no identity. */
function checkedPem(text: string): string {
  const pem = `${text.replace(/\r\n?/g, "\n").trim()}\n`;
  if (!PEM.test(pem))
    throw new PolicyError("GUEST_CONFIG", "CA of the KBS: expected PEM certificates and nothing else");
  return pem;
}

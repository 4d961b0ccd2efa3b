import { parseImageName } from "../../protocol/image-reference";
import { RegistryClient } from "../../untrusted/registry";
import type { Context } from "../context";
import { EXIT } from "../exit-codes";

/** `sealflow image digest <reference>`: what a tag names now, to be written into a program. */
export async function imageDigest(context: Context, text: string): Promise<number> {
  const name = parseImageName(text);
  const client = new RegistryClient({ signal: context.io.signal });
  try {
    const { digest } = await client.manifest(name);
    const reference = `${name.host}/${name.repository}@sha256:${digest}`;
    context.result({ reference, digest }, reference);
    return EXIT.ok;
  } finally {
    client.close();
  }
}

/**
 * Plain content on this machine, for resources that seal it. Only its digest counts: a preview without the content
 * (another machine, a pull request) takes what was deployed, "unchanged, pinned at <digest>".
 */
import { existsSync } from "node:fs";
import * as path from "node:path";
import type { Context } from "./server/context";
import type { Checked, InputField } from "./server/definition";
import { ProviderError } from "./server/errors";

export const sourceField = {
  type: "object",
  change: "none",
  about: "Where the plain content is; paths are relative to the project.",
} as const satisfies InputField;

/** SHA-256 of the plaintext. Part of the stack's state, which is the owner's. */
export const sourceDigestField = {
  type: "string",
  optional: true,
  computed: true,
  change: "replace",
  about: "Digest of the plain content.",
} as const satisfies InputField;

interface Deployed {
  readonly sourceDigest?: string;
}

/**
 * For Check.
 * @param file absolute path that must exist. @param digest computes it.
 * @param deployedFrom absolute paths of what is deployed. A machine that has these has the content, so another path that
 * leads nowhere is a mistake, and no content that stayed elsewhere.
 */
export async function checkSource(
  context: Context,
  file: string,
  digest: () => Promise<string>,
  olds: Deployed | undefined,
  deployedFrom: readonly string[] | undefined,
): Promise<Checked> {
  if (!existsSync(file) && olds?.sourceDigest) {
    if (deployedFrom && !deployedFrom.includes(file) && deployedFrom.every((part) => existsSync(part))) {
      const deployed = deployedFrom.map((part) => show(context, part)).join(", ") || "a registry";
      const reason = `${show(context, file)} is not there; what is deployed is from ${deployed}. Correct the path`;
      return { failures: [{ property: "source", reason }] };
    }
    const pinned = `${olds.sourceDigest.slice(0, 12)}…`;
    context.log.status(`${show(context, file)} is not on this machine: unchanged, pinned at ${pinned}`);
    return { computed: { sourceDigest: olds.sourceDigest } };
  }
  try {
    return { computed: { sourceDigest: await digest() } };
  } catch (error) {
    return { failures: [{ property: "source", reason: (error as Error).message }] };
  }
}

/** For Create: sealing needs the content. @throws ProviderError SOURCE */
export function needSource(context: Context, file: string): void {
  if (existsSync(file)) return;
  const remedy = "Bring it to this machine, or deploy from one that has it";
  throw new ProviderError("SOURCE", `${show(context, file)} is not on this machine, and sealing needs it. ${remedy}`);
}

/** @throws ProviderError SOURCE when the content is not what Check saw. */
export function sameSource(seen: string | undefined, sealed: string, file: string): void {
  if (seen === undefined || seen === sealed) return;
  throw new ProviderError("SOURCE", `${file} changed while it was being deployed. Run \`pulumi up\` again`);
}

export const absolute = (context: Context, file: string): string => path.resolve(context.root, file);

/** Relative to the project when it is inside, with forward slashes. */
export function show(context: Context, file: string): string {
  const relative = path.relative(context.root, file);
  return relative.startsWith("..") || path.isAbsolute(relative) ? file : relative.split(path.sep).join("/") || ".";
}

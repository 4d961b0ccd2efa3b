import type { Context } from "../context";
import { formatProgress, runPulumi } from "../engine";
import { passphraseRemedy } from "../support/deploy";

/** `sealflow pulumi -- <args>`: Pulumi in the project's own environment. @returns Pulumi's exit code. */
export async function pulumi(context: Context, args: string[]): Promise<number> {
  const onProgress = (event: Parameters<typeof formatProgress>[0]): void => context.say(formatProgress(event));
  const { code, stderr } = await runPulumi(args, { cwd: context.root, onProgress });
  const remedy = passphraseRemedy(context, stderr);
  if (remedy !== undefined) context.say(remedy);
  return code;
}

import { readFileSync } from "node:fs";
import * as path from "node:path";
import { terminalSafe } from "../../provider/server/text";
import type { Context } from "../context";
import { CliError } from "../errors";
import { EXIT } from "../exit-codes";
import { trustDiff } from "../trust-diff";
import { trustDiffMarkdown } from "../trust-diff/markdown";
import { readPreview } from "../trust-diff/preview";

/** `sealflow diff <preview.json>`: what a previewed change means for those who trust the pipeline, as Markdown. */
export async function diff(context: Context, file: string): Promise<number> {
  const found = trustDiff(readPreview(read(context, file)));
  context.result(found, terminalSafe(trustDiffMarkdown(found)).split("\n"));
  return found.errors.length > 0 ? EXIT.deployment : EXIT.ok;
}

function read(context: Context, file: string): string {
  try {
    return readFileSync(file === "-" ? 0 : path.resolve(context.io.cwd, file), "utf8");
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new CliError("PREVIEW", `${file}: cannot be read (${code}). Run: pulumi preview --json > preview.json`, {
      cause,
    });
  }
}

import { readFileSync } from "node:fs";
import * as path from "node:path";
import { initdataDiff, initdataIn, PolicyError, viewInitdata } from "../../policy";
import { TEES, type Tee } from "../../protocol/rcar";
import type { Context } from "../context";
import { CliError } from "../errors";
import { EXIT } from "../exit-codes";

/** Larger files are no initdata, whatever they are. */
const MAX_FILE = 4 * 1024 * 1024;

/** `sealflow initdata show <file>`: what a guest is told and measured as. */
export async function initdataShow(context: Context, file: string): Promise<number> {
  const text = read(context, file);
  const view = viewInitdata(text);
  context.result({ ...view, text }, [
    `${view.algorithm} ${view.digest}`,
    `${view.size.text} bytes, ${view.size.annotation} characters as an annotation`,
    ...view.entries.map(({ name, bytes, sha256 }) => `  ${name.padEnd(12)} ${bytes} bytes, sha256 ${sha256}`),
    ...(view.policy === null ? [] : ["policy_data", JSON.stringify(view.policy, null, 2)]),
    "",
    text.trimEnd(),
  ]);
  return EXIT.ok;
}

/** `sealflow initdata digest <file>`: the identity on each TEE, or on one. */
export async function initdataDigestOf(context: Context, file: string, tee: string | undefined): Promise<number> {
  const { identities, algorithm } = viewInitdata(read(context, file));
  if (tee === undefined) {
    const lines = Object.entries(identities).map(([name, id]) => `${name.padEnd(12)} ${id ?? `not with ${algorithm}`}`);
    context.result(identities, lines);
    return EXIT.ok;
  }
  if (!TEES.includes(tee as Tee)) throw new CliError("USAGE", `--tee ${tee}: expected one of ${TEES.join(", ")}`);
  const identity = identities[tee as Tee];
  if (identity === null) throw new CliError("USAGE", `${tee} cannot report initdata made with ${algorithm}`);
  context.result({ [tee]: identity }, identity);
  return EXIT.ok;
}

/** `sealflow initdata diff <before> <after>`: why two identities differ. */
export async function initdataDifference(context: Context, before: string, after: string): Promise<number> {
  const differences = initdataDiff(read(context, before), read(context, after));
  context.result({ equal: differences.length === 0, differences }, [
    ...differences,
    ...(differences.length === 0 ? ["no difference: the same identity on every TEE"] : []),
  ]);
  return EXIT.ok;
}

function read(context: Context, file: string): string {
  const at = path.resolve(context.io.cwd, file);
  let content: string;
  try {
    content = readFileSync(at, "utf8");
  } catch (cause) {
    throw new CliError("USAGE", `${file}: cannot be read (${(cause as NodeJS.ErrnoException).code})`, { cause });
  }
  if (content.length > MAX_FILE) throw new CliError("USAGE", `${file}: too large for initdata or a manifest`);
  try {
    return initdataIn(content);
  } catch (cause) {
    if (!(cause instanceof PolicyError)) throw cause;
    throw new PolicyError(cause.code, `${file}: ${cause.message}`, { cause });
  }
}

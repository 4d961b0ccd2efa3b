/**
 * `.sealflow/keys/<stack>/<pipeline>.parameters.json`: the program's defaults of run parameters, `{<step>: {…}}`. They are
 * private and no part of the version, so they stay on the owner's machine, beside the run key that they are used with.
 */
import { rmSync } from "node:fs";
import * as path from "node:path";
import { stackFolder, writePrivate } from "../files";
import type { KeysInput } from "../keys";
import type { Context } from "../server/context";

type Place = Pick<KeysInput, "stack" | "pipeline">;

const fileOf = (context: Context, { stack, pipeline }: Place): string =>
  path.join(stackFolder(context.home, "keys", { stack, pipeline }), `${pipeline}.parameters.json`);

/** Without parameters there is no file. */
export function writeParameters(context: Context, place: Place, parameters: Record<string, object>): void {
  if (Object.keys(parameters).length === 0) removeParameters(context, place);
  else writePrivate(fileOf(context, place), `${JSON.stringify(parameters)}\n`);
}

export const removeParameters = (context: Context, place: Place): void =>
  rmSync(fileOf(context, place), { force: true });

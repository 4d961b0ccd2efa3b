import * as path from "node:path";
import { openRunFolder } from "../../owner/fetch";
import { readKeyFile } from "../../owner/keys";
import type { Context } from "../context";
import { EXIT } from "../exit-codes";
import { keysFrom, type OutsideKeys } from "../support/outside-keys";
import { reportLines } from "../support/report";

export interface OpenOptions extends OutsideKeys {
  readonly key: string;
  readonly recipient: string;
  readonly out?: string;
}

/** `sealflow open <folder>`: what a run released to one recipient, with that recipient's own key; offline. */
export async function open(context: Context, folder: string, options: OpenOptions): Promise<number> {
  const { cwd } = context.io;
  const dir = path.resolve(cwd, folder);
  const out = path.resolve(cwd, options.out ?? `${path.basename(dir)}-${options.recipient}`);
  const recipient = { name: options.recipient, key: readKeyFile(path.resolve(cwd, options.key), "X25519") };
  const { report, released } = await openRunFolder({ dir, keys: keysFrom(context, dir, options), recipient, out });
  const files = Object.entries(released).map(([name, file]) => `  ${name}: ${context.show(file)}`);
  context.result({ report, released }, [...reportLines(report), ...files]);
  return report.ok ? EXIT.ok : EXIT.verification;
}

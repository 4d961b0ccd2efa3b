import * as path from "node:path";
import { readKeyFile } from "../../owner/keys";
import { type VerifyOptions, verifyRunFolder } from "../../owner/verify";
import type { Context } from "../context";
import { EXIT } from "../exit-codes";
import { keysFrom, type OutsideKeys } from "../support/outside-keys";
import { reportLines } from "../support/report";

export interface VerifyChoice extends OutsideKeys {
  readonly releaseKey?: string;
  readonly recipient?: string;
}

/** `sealflow verify <folder>`: offline; keys come from outside the folder. */
export async function verify(context: Context, folder: string, options: VerifyChoice): Promise<number> {
  const dir = path.resolve(context.io.cwd, folder);
  const report = await verifyRunFolder(dir, { ...keysFrom(context, dir, options), ...recipientFrom(context, options) });
  context.result(report, reportLines(report));
  return report.ok ? EXIT.ok : EXIT.verification;
}

function recipientFrom(context: Context, options: VerifyChoice): Pick<VerifyOptions, "recipient"> {
  const file = options.releaseKey && path.resolve(context.io.cwd, options.releaseKey);
  return file ? { recipient: { name: options.recipient ?? "owner", key: readKeyFile(file, "X25519") } } : {};
}

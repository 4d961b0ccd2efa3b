/**
 * The last head seen of each ledger, `.sealflow/heads.json`: a ledger that was rolled back cannot show a log that
 * extends it, so every command that talks to a ledger notices.
 */
import { existsSync, readFileSync } from "node:fs";
import * as path from "node:path";
import { writePrivateFile } from "../../owner/keys";
import { peekJws } from "../../protocol/jws";
import { head } from "../../protocol/messages";
import { jws } from "../../protocol/messages/common";
import { type Infer, literal, object, parse, record } from "../../protocol/shape";
import { CliError } from "../errors";

const heads = object({ version: literal(1), heads: record(/^[A-Za-z0-9_-]{43}$/, jws, 10_000) });
type Heads = Infer<typeof heads>;

const fileOf = (home: string): string => path.join(home, "heads.json");

/** @returns the signed head, or undefined before the first. @throws CliError CONNECTION when the file is damaged. */
export const lastHead = (home: string, ledgerKey: string): string | undefined => read(home).heads[ledgerKey];

/** Keeps the larger one: two commands at once do not forget. @param token verified, and proven to extend the last. */
export function rememberHead(home: string, ledgerKey: string, token: string): void {
  const all = read(home);
  const known = all.heads[ledgerKey];
  if (known !== undefined && sizeOf(known) >= sizeOf(token)) return;
  all.heads[ledgerKey] = token;
  writePrivateFile(fileOf(home), `${JSON.stringify(all, null, 2)}\n`);
}

const sizeOf = (token: string): number => peekJws("sealflow-head+jwt", token, head).size;

function read(home: string): Heads {
  const file = fileOf(home);
  if (!existsSync(file)) return { version: 1, heads: {} };
  try {
    return parse(heads, JSON.parse(readFileSync(file, "utf8")), "heads");
  } catch (cause) {
    throw new CliError("CONNECTION", `${file}: damaged. Remove it to forget what was seen of the ledger`, { cause });
  }
}

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Folders that may hold the texts: beside this module, or the package's sources when this runs from dist/policy/. */
const FOLDERS = [__dirname, join(__dirname, "..", "..", "policy")];

/** @param name path below policy/, such as `agent/rules.rego`. @throws Error when the package is incomplete. */
export function asset(name: string): Buffer {
  for (const folder of FOLDERS) {
    const path = join(folder, name);
    if (existsSync(path)) return readFileSync(path);
  }
  throw new Error(`policy/${name} is missing from this installation; reinstall the package`);
}

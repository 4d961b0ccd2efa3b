import { readFileSync } from "node:fs";
import { join } from "node:path";

/**
 * A text or compiled policy of this package; the build copies them beside the compiled modules.
 * @param name path below policy/, such as `agent/rules.rego`. @throws Error when the package is incomplete.
 */
export function asset(name: string): Buffer {
  try {
    return readFileSync(join(__dirname, name));
  } catch (cause) {
    throw new Error(`policy/${name} is missing from this installation; reinstall the package`, { cause });
  }
}

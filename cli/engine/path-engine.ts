import { accessSync, constants, existsSync, realpathSync, statSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { lastWords, run } from "./process";
import type { Engine } from "./types";
import { isAtLeast, MINIMUM_ENGINE_VERSION, parseVersion } from "./versions";

/** Time for `pulumi version`, in milliseconds; it answers in well under a second. */
const VERSION_TIMEOUT_MS = 20_000;

/** The first executable file `name` in the folders of `path`; undefined when there is none. */
export function which(name: string, path: string | undefined): string | undefined {
  for (const folder of (path ?? "").split(delimiter)) {
    if (folder === "") continue;
    const file = join(folder, name);
    try {
      accessSync(file, constants.X_OK);
      if (statSync(file).isFile()) return file;
    } catch {
      // not there, or not executable
    }
  }
  return undefined;
}

/** @returns the version an engine names, or why it cannot be used */
export async function engineVersion(pulumi: string): Promise<{ version: string } | { why: string }> {
  // Asking for the version must not make or read the user's ~/.pulumi, nor ask the network.
  const env = { ...process.env, PULUMI_SKIP_UPDATE_CHECK: "true" };
  const outcome = await run(pulumi, ["version"], { timeoutMs: VERSION_TIMEOUT_MS, env });
  if (outcome.timedOut) return { why: `"pulumi version" gave no answer within ${VERSION_TIMEOUT_MS / 1000} s` };
  if (outcome.code !== 0) return { why: `"pulumi version" failed: ${lastWords(outcome)}` };
  const version = parseVersion(outcome.stdout);
  if (version === undefined) return { why: `"pulumi version" printed no version` };
  return { version: version.join(".") };
}

/**
 * The `pulumi` on PATH, if it is recent enough.
 * @param hosts folder of our language host, for an engine without its own
 */
export async function engineOnPath(
  path: string | undefined,
  hosts: () => string,
): Promise<Engine | { why: string } | undefined> {
  const found = which("pulumi", path);
  if (found === undefined) return undefined;
  const answer = await engineVersion(found);
  if ("why" in answer) return { why: `${found}: ${answer.why}` };
  if (!isAtLeast(answer.version, MINIMUM_ENGINE_VERSION)) {
    return { why: `${found} is version ${answer.version}, older than ${MINIMUM_ENGINE_VERSION}` };
  }
  // The engine looks for its bundled plugins beside the file a link leads to.
  const pulumi = realpathSync(found);
  const hasHost =
    existsSync(join(dirname(pulumi), "pulumi-language-nodejs")) || which("pulumi-language-nodejs", path) !== undefined;
  return {
    root: dirname(dirname(pulumi)),
    pulumi,
    hosts: hasHost ? undefined : hosts(),
    version: answer.version,
    source: "path",
  };
}

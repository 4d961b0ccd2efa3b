import { chmodSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { packageRoot } from "./package-root";

/**
 * Writes our language host and its helpers beside an engine, so that the engine finds them as its bundled plugins:
 * `<folder>/bin/pulumi-language-nodejs` and two more, `<folder>/host/*.js`. Writes only what differs; safe at any
 * time, also while an engine runs.
 * @param node absolute path of the Node that runs them when SEALFLOW_NODE is not set
 * @returns the folder with the launchers
 */
export function installLaunchers(folder: string, node: string): string {
  const source = join(packageRoot(), "tools", "language-host");
  for (const file of readdirSync(source)) {
    if (file.endsWith(".js")) put(join(folder, "host", file), readFileSync(join(source, file), "utf8"), 0o644);
  }
  const bin = join(folder, "bin");
  const runner = `exec "\${SEALFLOW_NODE:-${node}}"`;
  put(join(bin, "pulumi-language-nodejs"), `#!/bin/sh\n${runner} "$(dirname "$0")/../host/main.js" "$@"\n`, 0o755);
  put(join(bin, "pulumi-resource-pulumi-nodejs"), helper(runner, "@pulumi/pulumi/cmd/dynamic-provider"), 0o755);
  put(join(bin, "pulumi-analyzer-policy-nodejs"), helper(runner, "@pulumi/pulumi/cmd/run-policy-pack"), 0o755);
  return bin;
}

/** A launcher of one of @pulumi/pulumi's own entry points, found from the project it is started in. */
function helper(runner: string, entry: string): string {
  return `#!/bin/sh\n${runner} "$(dirname "$0")/../host/entry.js" ${entry} "$@"\n`;
}

function put(file: string, text: string, mode: number): void {
  if (readOrEmpty(file) === text) return;
  mkdirSync(dirname(file), { recursive: true });
  const temporary = `${file}.${process.pid}.tmp`;
  writeFileSync(temporary, text);
  chmodSync(temporary, mode);
  renameSync(temporary, file);
}

function readOrEmpty(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

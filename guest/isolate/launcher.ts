/**
 * The last thing that runs before the program, inside its namespaces: gives up root, finds the command, becomes it.
 * A text for `node -e`, because the runner's own file is not visible there. The target comes through descriptor 3 and
 * not through arguments or environment: the program's LD_PRELOAD must not reach bubblewrap or this process.
 */

export interface Target {
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** To become; null when a user namespace has done it. */
  readonly id: number | null;
  /** How to start Node when the image has none. */
  readonly node: readonly string[];
  /** true: only show that all this works, exit 0. */
  readonly probe: boolean;
  /** There is no other uid: the program's is 0, without capabilities. */
  readonly keepsRoot: boolean;
}

/** Exit codes as shells have them. */
export const NOT_EXECUTABLE = 126;
export const NOT_FOUND = 127;

export const LAUNCHER = `"use strict";
const fs = require("node:fs");
const path = require("node:path");
const t = JSON.parse(fs.readFileSync(3, "utf8"));
fs.closeSync(3);
if (t.id !== null) {
  process.setgroups([]);
  process.setgid(t.id);
  process.setuid(t.id);
}
process.umask(0o022);
const stop = (code, text) => {
  fs.writeSync(2, text + "\\n");
  process.exit(code);
};
const runs = (file) => {
  try {
    fs.accessSync(file, fs.constants.X_OK);
    return fs.statSync(file).isFile();
  } catch {
    return false;
  }
};
if (t.probe) {
  fs.readdirSync("/proc/self");
  const powers = /^CapPrm:\\s*0*$/m.test(fs.readFileSync("/proc/self/status", "utf8")) ? 0 : 1;
  process.exit(process.getuid() === 0 && !t.keepsRoot ? 1 : powers);
}
const [name, ...args] = t.command;
const places = name.includes("/") ? [path.resolve(name)] : (t.env.PATH || "").split(":").filter(Boolean).map((d) => path.join(d, name));
let file = places.find(runs);
let argv = [name, ...args];
if (!file) {
  if (name !== "node") stop(${NOT_FOUND}, name + ": command not found in this image");
  file = t.node[0];
  argv = [...t.node, ...args];
}
try {
  process.execve(file, argv, t.env);
} catch (error) {
  stop(${NOT_EXECUTABLE}, name + ": " + error.message);
}
`;

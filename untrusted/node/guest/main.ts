/** Process of one simulated guest: configuration on stdin, lines of JSON on stdout. Started by ../vm.ts. */
import { readFileSync, writeSync } from "node:fs";
import { runGuest } from "./agent";
import { asGuestError } from "./errors";
import type { GuestConfig, GuestLine } from "./messages";

const tell = (line: GuestLine): void => {
  try {
    writeSync(1, `${JSON.stringify(line)}\n`);
  } catch {
    // The node is gone; see watchParent.
  }
};

function readConfig(): GuestConfig | undefined {
  try {
    return JSON.parse(readFileSync(0, "utf8")) as GuestConfig;
  } catch (error) {
    tell({ exit: 50, code: "INTERNAL", reason: asGuestError(error).message });
    return undefined;
  }
}

const config = readConfig();
if (config?.mode === "process") watchParent();
if (config) runGuest(config, tell).then(() => process.exit(0));

/** Without namespaces nothing ends this process when the node is killed. */
function watchParent(): void {
  const parent = process.ppid;
  setInterval(() => {
    if (process.ppid === parent) return;
    // As when the node stops it: the container first.
    process.emit("SIGTERM");
    setTimeout(() => process.exit(1), 1000);
  }, 500).unref();
}

/** Process of one simulated guest: configuration on stdin, lines of JSON on stdout. Started by ../vm.ts. */
import { readFileSync, writeSync } from "node:fs";
import { runGuest } from "./agent";
import { asGuestError } from "./errors";
import type { GuestConfig, GuestLine } from "./messages";

const tell = (line: GuestLine): void => {
  writeSync(1, `${JSON.stringify(line)}\n`);
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
if (config) runGuest(config, tell).then(() => process.exit(0));

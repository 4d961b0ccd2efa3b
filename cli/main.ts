/** Entry of the command line. */
import { readFileSync } from "node:fs";
import * as path from "node:path";
import { CommanderError } from "commander";
import { terminalJson, terminalSafe } from "../provider/server/text";
import { packageRoot } from "./engine";
import { EXIT, explain } from "./exit-codes";
import { type Io, processIo } from "./io";
import { makeProgram } from "./program";
import type { Backend } from "./run/backend";
import { localBackend } from "./run/local";

/** What tests replace. */
export interface MainOptions {
  readonly io?: Io;
  readonly backend?: Backend;
}

/** @param argv without the interpreter and the script. @returns the exit code; see docs/cli.md. */
export async function main(argv: readonly string[], options: MainOptions = {}): Promise<number> {
  const own = options.io === undefined ? processIo() : undefined;
  const io = options.io ?? (own as Io);
  let code: number = EXIT.ok;
  try {
    const program = makeProgram({
      io,
      version: packageVersion(),
      backend: options.backend ?? localBackend,
      done: (exit) => {
        code = exit;
      },
    });
    await program.parseAsync(argv, { from: "user" });
    return code;
  } catch (error) {
    // Commander has printed its own message already.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    const { code: exit, text, error: told } = explain(error);
    if (wantsJson(argv)) io.stdout.write(`${terminalJson({ error: told })}\n`);
    io.stderr.write(`sealflow: ${terminalSafe(text)}\n`);
    return exit;
  } finally {
    own?.release();
  }
}

/** What follows `--` is somebody else's. */
const wantsJson = (argv: readonly string[]): boolean => {
  const end = argv.indexOf("--");
  return argv.slice(0, end < 0 ? undefined : end).includes("--json");
};

const packageVersion = (): string =>
  JSON.parse(readFileSync(path.join(packageRoot(), "package.json"), "utf8")).version as string;

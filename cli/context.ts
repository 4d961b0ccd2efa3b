/** What every command gets: surroundings, the project on disk, and how to print. */
import { existsSync } from "node:fs";
import * as path from "node:path";
import { findProject } from "../provider/server/context";
import { ProviderError } from "../provider/server/errors";
import { terminalJson, terminalSafe } from "../provider/server/text";
import type { Io } from "./io";

export class Context {
  constructor(
    readonly io: Io,
    /** One JSON value on stdout instead of text. */
    readonly json: boolean,
    private readonly projectOption: string | undefined,
  ) {}

  /** Folder of Pulumi.yaml, or one in which `connect` was called. @throws ProviderError SOURCE when there is none above the working folder. */
  get root(): string {
    if (this.projectOption !== undefined) return path.resolve(this.io.cwd, this.projectOption);
    return connectedFolder(this.io.cwd) ?? projectAbove(this.io);
  }

  /** Where `connect` keeps a connection: the project, or else the working folder, which becomes one by it. */
  get placeToConnect(): string {
    try {
      return this.root;
    } catch {
      return path.resolve(this.io.cwd);
    }
  }

  /** State folder of the project. */
  get home(): string {
    return path.join(this.root, ".sealflow");
  }

  /** The command's answer: text for people, or the same data as JSON. */
  result(data: unknown, text: string | readonly string[]): void {
    const shown = this.json ? terminalJson(data) : terminalSafe([text].flat().join("\n"));
    this.io.stdout.write(`${shown}\n`);
  }

  /** A line beside the answer: progress, hints. Never part of what scripts read. */
  say(line: string): void {
    this.io.stderr.write(`${terminalSafe(line)}\n`);
  }

  /** Relative to where the user stands, when that is shorter. */
  show(file: string): string {
    const relative = path.relative(this.io.cwd, file);
    return relative === "" ? "." : relative.length < file.length && !relative.startsWith("../..") ? relative : file;
  }
}

/** @throws ProviderError SOURCE: the provider's own, which cannot know of --project. */
function projectAbove({ cwd, env }: Io): string {
  try {
    return findProject(cwd, env);
  } catch (cause) {
    if (!(cause instanceof ProviderError)) throw cause;
    const remedy = "Go to the project's folder, name it with --project, or begin one: npx sealflow init";
    throw new ProviderError("SOURCE", `no Pulumi.yaml in ${cwd} or above. ${remedy}`, { cause });
  }
}

/** The working folder itself, when it has connections and is no Pulumi project. */
const connectedFolder = (cwd: string): string | undefined =>
  existsSync(path.join(cwd, ".sealflow", "pipelines")) && !existsSync(path.join(cwd, "Pulumi.yaml")) ? cwd : undefined;

/** What an operation may use beside its inputs: the project on disk, the engine's log, cancellation. */
import { existsSync } from "node:fs";
import * as path from "node:path";
import { ProviderError } from "./errors";

/**
 * Where a message goes in the engine's display. `status` replaces the line of the resource while it works, and is gone
 * afterwards.
 */
export interface Log {
  status(message: string): void;
  info(message: string): void;
  warn(message: string): void;
}

export interface Context {
  /** Folder of Pulumi.yaml, absolute. Paths in inputs are relative to it. */
  readonly root: string;
  /** State folder of the project, `<root>/.sealflow`. */
  readonly home: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly log: Log;
  /** Aborted when the engine cancels or the operation's timeout ends. */
  readonly signal: AbortSignal;
  readonly now: () => Date;
}

/**
 * The project is found from the folder in which the engine starts the plugin (that of the program) upwards.
 * @param env SEALFLOW_PROJECT overrides it, for programs without a Pulumi.yaml of their own.
 * @throws ProviderError SOURCE
 */
export function findProject(from: string, env: Readonly<Record<string, string | undefined>>): string {
  if (env.SEALFLOW_PROJECT) return path.resolve(env.SEALFLOW_PROJECT);
  for (let folder = path.resolve(from); ; folder = path.dirname(folder)) {
    if (["Pulumi.yaml", "Pulumi.yml", "Pulumi.json"].some((file) => existsSync(path.join(folder, file)))) return folder;
    if (folder === path.dirname(folder)) {
      throw new ProviderError("SOURCE", `no Pulumi.yaml in ${from} or above. Run Pulumi in the project's folder`);
    }
  }
}

/**
 * Where things are, from the runner's own place: `<root>/sealflow/runner.js`. In a measured image the root is `/`. A
 * simulated guest without namespaces has another root; no environment variable can move it.
 */
import { dirname, join, resolve } from "node:path";

export interface Layout {
  /** Root of the step's image; the program sees it as `/` when it is isolated. */
  readonly root: string;
  /** Folder of the runner layer. */
  readonly base: string;
  readonly ownerFile: string;
  /** The one writable folder, in guest memory. */
  readonly scratch: string;
  readonly inputs: string;
  readonly outputs: string;
  readonly parameters: string;
}

/** @param runnerFile absolute path of the running file. */
export function layoutOf(runnerFile: string): Layout {
  const base = dirname(resolve(runnerFile));
  const scratch = join(base, "scratch");
  return {
    root: dirname(base),
    base,
    ownerFile: `${base}-owner/owner.json`,
    scratch,
    inputs: join(scratch, "in"),
    outputs: join(scratch, "out"),
    parameters: join(scratch, "params.json"),
  };
}

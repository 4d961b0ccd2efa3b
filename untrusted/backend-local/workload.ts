/** `workload.json` and the Job manifests beside it, as the LocalWorkload resource writes them. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { SealflowError } from "../../protocol/errors";
import { NAME } from "../../protocol/names";
import { type Infer, integer, list, literal, object, parse, record, type Shape, text } from "../../protocol/shape";

/** Append only. WORKLOAD_MISSING: nothing deployed there. WORKLOAD: not of its form; deploy again. */
export type BackendCode = "WORKLOAD_MISSING" | "WORKLOAD";
export class BackendError extends SealflowError<BackendCode> {}

const name = text({ pattern: NAME, what: "a name", max: 40 });
const seconds: Shape<number> = (value, at, problems) => {
  if (typeof value !== "number" || !Number.isFinite(value) || value < 0)
    problems.push(`${at}: expected a number from 0`);
  return value as number;
};

const workloadShape = object({
  v: literal(1),
  pipeline: name,
  stack: name,
  steps: record(
    NAME,
    object({
      job: text({ pattern: /^[a-z0-9-]+\.job\.json$/, what: "<step>.job.json", max: 60 }),
      /** Steps that must be committed before. */
      after: list(name, 5000),
      shards: integer(1, 1000),
      /** Further attempts after the first. */
      retryLimit: integer(0, 100),
      backoff: object({ seconds, factor: seconds, maxSeconds: seconds }),
    }),
    5000,
  ),
});

export type Workload = Infer<typeof workloadShape>;
export type WorkloadStep = Workload["steps"][string];

/** @throws BackendError */
export async function readWorkload(folder: string): Promise<Workload> {
  const workload = parse(workloadShape, await readJson(join(folder, "workload.json")), "workload.json");
  const unknown = Object.entries(workload.steps).flatMap(([step, { after }]) =>
    after
      .filter((dependency) => !Object.hasOwn(workload.steps, dependency))
      .map((d) => `steps.${step}.after: no step "${d}"`),
  );
  if (unknown.length > 0) throw new BackendError("WORKLOAD", `${folder}: ${unknown.join("; ")}; deploy again`);
  return workload;
}

/** The node checks its form. */
export const readJob = (folder: string, step: WorkloadStep): Promise<unknown> => readJson(join(folder, step.job));

async function readJson(path: string): Promise<unknown> {
  const bytes = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
    throw new BackendError("WORKLOAD_MISSING", `${path} does not exist; run "npx sealflow up" first`);
  });
  try {
    return JSON.parse(bytes) as unknown;
  } catch {
    throw new BackendError("WORKLOAD", `${path} is not JSON; run "npx sealflow up" again`);
  }
}

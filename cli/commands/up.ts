import type { Context } from "../context";
import { EXIT } from "../exit-codes";
import { deploy } from "../support/deploy";
import { choiceOf, listPipelines } from "../support/pipelines";

/** `sealflow up`: deploys a stack. */
export async function up(context: Context, stack: string, args: readonly string[]): Promise<number> {
  await deploy(context, stack, args);
  const pipelines = listPipelines(context.home)
    .map(({ connection }) => connection)
    .filter((c) => c.stack === stack)
    .map(({ name, pipelineUid }) => ({ name, pipelineUid }));
  context.result({ stack, pipelines }, [
    ...pipelines.map(({ name }) => `deployed ${stack}/${name}`),
    ...pipelines.slice(0, 1).map(({ name }) => `next: npx sealflow run${choiceOf(context.home, { stack, name })}`),
  ]);
  return EXIT.ok;
}

import { randomBytes } from "node:crypto";
import { signCancel } from "../../owner/run-request";
import { SealflowError } from "../../protocol/errors";
import { stopRun } from "../../untrusted/backend-argo";
import { KubernetesClient, readKubeconfig } from "../../untrusted/kubernetes";
import type { Context } from "../context";
import { EXIT } from "../exit-codes";
import { withLedger } from "../support/ledger";
import { type Choice, choosePipeline, type Deployed } from "../support/pipelines";
import { findRun, shortRun } from "../support/runs";

/** `sealflow cancel <run>`: no step of it starts or commits any more, and its secrets are deleted. */
export async function cancel(context: Context, run: string, choice: Choice & { reason?: string }): Promise<number> {
  const deployed = choosePipeline(context.home, choice);
  return withLedger(context, deployed, async (session) => {
    const id = await findRun(session, deployed, run);
    const order = {
      pipelineUid: deployed.connection.pipelineUid,
      run: id,
      reason: choice.reason ?? "cancelled by its owner",
      now: context.io.now(),
      random: randomBytes(32),
    };
    const { state } = await session.ledger.cancel(id, await signCancel(order, session.runKey));
    await session.advance();
    const stopped = await stopEngine(context, deployed, id);
    const text = state === "cancelled" ? state : `had ended before: ${state}`;
    context.result({ run: id, state, ...(stopped ? { stopped } : {}) }, `run ${shortRun(id)}: ${text}`);
    return state === "cancelled" ? EXIT.ok : EXIT.run;
  });
}

/** On a cluster the engine is stopped as well: it would start guests that the ledger refuses. @returns Workflows. */
async function stopEngine(context: Context, { connection }: Deployed, run: string): Promise<string[] | undefined> {
  const at = connection.backend;
  if (at === undefined) return undefined;
  let client: KubernetesClient | undefined;
  try {
    client = new KubernetesClient(readKubeconfig(context.io.env));
    return await stopRun(client, at, run);
  } catch (error) {
    if (!(error instanceof SealflowError)) throw error;
    context.say(`the run is over, but its Workflow could not be stopped: ${error.message} [${error.code}]`);
    return [];
  } finally {
    client?.close();
  }
}

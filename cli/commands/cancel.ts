import { randomBytes } from "node:crypto";
import { signCancel } from "../../owner/run-request";
import type { Context } from "../context";
import { EXIT } from "../exit-codes";
import { withLedger } from "../support/ledger";
import { type Choice, choosePipeline } from "../support/pipelines";
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
    const { state, head } = await session.ledger.cancel(id, await signCancel(order, session.runKey));
    session.seen(head.token);
    context.result({ run: id, state }, `run ${shortRun(id)}: ${state}`);
    return state === "cancelled" ? EXIT.ok : EXIT.run;
  });
}

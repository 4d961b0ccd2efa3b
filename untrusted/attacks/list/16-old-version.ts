import { commitAnswerIn } from "../support/http";
import { Impostor } from "../support/impostor";
import type { Attack } from "../types";

/** On the neighbour, whose owner revokes and registers while we watch. */
export const oldVersion: Attack = {
  number: 16,
  title: "an old version redeployed after it was replaced or revoked",
  power: "control plane",
  expected: ["CLAIM_REFUSED", "VERSION_CLOSED", "REVOKED"],
  mount: async (world) => {
    const neighbour = await world.neighbour();
    const run = await neighbour.openRun();
    const old = Impostor.of(world, await neighbour.bundle("writer"));
    const granted = await old.claimed(run);
    await neighbour.revoke();
    const refused = await old.commit(granted, { outputs: { out: Buffer.from("{}") } });
    const tries = [
      {
        tried: "a guest that was at work when its version was revoked commits",
        ended: commitAnswerIn(refused).refusal ?? "COMMITTED",
      },
      { tried: "its manifest is started again", ended: (await world.guest(neighbour.jobs.writer, { run })).code },
      { tried: "its manifest is started without a hint", ended: (await world.guest(neighbour.jobs.writer)).code },
      {
        tried: "a new run of it",
        ended: await neighbour.openRun().then(
          () => "OPENED",
          (e: { code?: string }) => e.code ?? "FAILED",
        ),
      },
    ];
    await world.fresh();
    return tries;
  },
};

import { generateKeyPairSync } from "node:crypto";
import { openFrom } from "../../../protocol/jwe";
import { jwsDigest } from "../../../protocol/jws";
import { runSecretContext } from "../../../protocol/messages";
import { claimAnswerIn, commitAnswerIn, postToken, tokenIn } from "../support/http";
import { Impostor } from "../support/impostor";
import type { Attack } from "../types";

/** Two guests of one step have one signing key: what the network recorded of one must not serve the other. */
export const replayedClaims: Attack = {
  number: 35,
  title: "claims, answers and commits recorded and played again",
  power: "network",
  expected: ["SAME_ATTEMPT", "KEY", "ANSWER", "SAME_COMMIT", "RUN_UNKNOWN"],
  mount: async (world) => {
    const { consumer } = world.target;
    const run = await world.ready();
    const impostor = Impostor.of(world, await world.bundle(consumer));
    const { privateKey: ephemeral } = generateKeyPairSync("x25519");
    const claim = await impostor.claimToken(run, ephemeral);
    const first = await postToken(world, "/v1/claims", claim);
    const second = await postToken(world, "/v1/claims", claim);
    const [a, b] = [claimAnswerIn(first).go, claimAnswerIn(second).go];
    const stranger = generateKeyPairSync("x25519").privateKey;
    const opened = await openFrom(stranger, runSecretContext(run, jwsDigest(claim)), b?.runSecret ?? "").then(
      () => "OPENED",
      (e: { code: string }) => e.code,
    );
    const tries = [
      {
        tried: "a claim again",
        ended: a && b && a.attempt === b.attempt && a.shard === b.shard ? "SAME_ATTEMPT" : "ANOTHER_ATTEMPT",
      },
      { tried: "its run secret opened with another key", ended: opened },
    ];

    const { ledger } = world;
    await world.ready();
    ledger.hostile = async (request) =>
      request.url.endsWith("/v1/claims") ? Response.json({ token: tokenIn(first) }) : ledger.honest(request);
    tries.push({
      tried: "an old answer to a new claim",
      ended: (await world.guest(world.job(consumer), { run })).code,
    });
    ledger.hostile = undefined;

    await world.ready();
    let commit = "";
    ledger.hostile = async (request) => {
      if (!request.url.endsWith("/v1/commits")) return ledger.honest(request);
      const body = await request.text();
      commit = (JSON.parse(body) as { token: string }).token;
      return ledger.honest(new Request(request.url, { method: "POST", headers: request.headers, body }));
    };
    const end = await world.guest(world.job(consumer), { run });
    ledger.hostile = undefined;
    if (end.code !== "COMMITTED") throw new Error(`the honest guest ended with ${end.code}`);
    const again = commitAnswerIn(await postToken(world, "/v1/commits", commit));
    tries.push({
      tried: "a commit again",
      ended: again.status === "committed" ? "SAME_COMMIT" : (again.refusal ?? again.status),
    });
    await world.fresh();
    tries.push({
      tried: "a commit to a ledger that does not know the run",
      ended: (await postToken(world, "/v1/commits", commit)).code,
    });
    return tries;
  },
};

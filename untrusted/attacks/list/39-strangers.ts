import { generateKeyPairSync, randomBytes } from "node:crypto";
import { base64url } from "../../../protocol/bytes";
import { rawPublic } from "../../../protocol/crypto";
import { signJws } from "../../../protocol/jws";
import { call, postToken } from "../support/http";
import type { Attack } from "../types";

/** Another tenant of the same ledger, with keys of his own. */
export const strangers: Attack = {
  number: 39,
  title: "another owner reads, cancels, revokes, replaces",
  power: "another pipeline",
  expected: ["FORBIDDEN", "TOKEN_MISSING", "RUN_UNKNOWN", "SHAPE"],
  mount: async (world) => {
    const neighbour = await world.neighbour();
    const run = await world.done();
    const { ledgerKey, pipelineUid } = world.descriptor;
    const stranger = generateKeyPairSync("ed25519").privateKey;
    const by = rawPublic(stranger);
    const now = Math.floor(Date.now() / 1000);
    const nonce = base64url(randomBytes(32));
    const read = (path: string, token: string) =>
      call(world, world.ledger, path, { headers: { authorization: `Bearer ${token}` } });
    const readToken = await signJws(
      "sealflow-read+jwt",
      { v: 1, ledgerKey, pipelineUid, by, issuedAt: now, expiresAt: now + 600, nonce },
      stranger,
    );
    const theirs = await neighbour.readToken();
    const owners = await world.owner.readToken();
    const cancel = { v: 1, pipelineUid, run, by, reason: "x", nonce, issuedAt: now };
    const revoke = { v: 1, ledgerKey, pipelineUid, ownerPublicKey: by, descriptor: null, reason: "x", nonce };
    const version = { ...world.descriptor, ownerPublicKey: by, sequence: world.descriptor.sequence + 1 };
    return [
      { tried: "reads a run without a token", ended: (await call(world, world.ledger, `/v1/runs/${run}/log`)).code },
      { tried: "reads it with a token of his own making", ended: (await read(`/v1/runs/${run}/log`, readToken)).code },
      { tried: "reads it with a token for his own pipeline", ended: (await read(`/v1/runs/${run}/log`, theirs)).code },
      {
        tried: "reads the events of another pipeline",
        ended: (await read(`/v1/events?pipeline=${pipelineUid}`, theirs)).code,
      },
      { tried: "uses a read token to cancel", ended: (await postToken(world, `/v1/runs/${run}/cancel`, owners)).code },
      {
        tried: "cancels the run",
        ended: (
          await postToken(world, `/v1/runs/${run}/cancel`, await signJws("sealflow-cancel+jwt", cancel, stranger))
        ).code,
      },
      {
        tried: "revokes the pipeline",
        ended: (
          await postToken(
            world,
            `/v1/pipelines/${pipelineUid}/revoke`,
            await signJws("sealflow-revoke+jwt", revoke, stranger),
          )
        ).code,
      },
      {
        tried: "registers a version of his own",
        ended: (await postToken(world, "/v1/pipelines", await signJws("sealflow-descriptor+jwt", version, stranger)))
          .code,
      },
    ];
  },
};

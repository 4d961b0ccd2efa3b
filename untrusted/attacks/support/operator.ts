/** The ledger's operator: has its key, sees every request, and answers what he likes. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fromBase64url } from "../../../protocol/bytes";
import { privateKey } from "../../../protocol/crypto";
import { type JwsType, peekJws, signJws } from "../../../protocol/jws";
import { type Claim, type ClaimAnswer, type ClaimGo, claim, claimAnswer } from "../../../protocol/messages";
import type { GuestEnd, World } from "../types";

const keyOf = (world: World) =>
  privateKey("Ed25519", fromBase64url(readFileSync(join(world.home, "dev", "ledger", "ledger.key"), "utf8").trim()));

export const signAsLedger = (world: World, typ: JwsType, payload: unknown): Promise<string> =>
  signJws(typ, payload, keyOf(world));

export type ForgeAnswer = (answer: ClaimAnswer, asked: Claim, token: string) => ClaimAnswer | Promise<ClaimAnswer>;

/** From now on the ledger signs what `forge` makes of its honest answers to claims. */
export function forgeClaims(world: World, forge: ForgeAnswer): void {
  const { ledger } = world;
  ledger.hostile = async (request) => {
    if (!request.url.endsWith("/v1/claims")) return ledger.honest(request);
    const body = await request.text();
    const { token } = JSON.parse(body) as { token: string };
    const answer = await ledger.honest(new Request(request.url, { method: "POST", headers: request.headers, body }));
    const { token: honest } = (await answer.json()) as { token: string };
    const forged = await forge(
      peekJws("sealflow-claim-answer+jwt", honest, claimAnswer),
      peekJws("sealflow-claim+jwt", token, claim),
      token,
    );
    return Response.json({ token: await signAsLedger(world, "sealflow-claim-answer+jwt", forged) });
  };
}

/** The consumer asks for work and gets a changed `go`. @returns how its guest ended. */
export async function answerWith(
  world: World,
  change: (go: ClaimGo, asked: Claim, token: string) => ClaimGo | Promise<ClaimGo>,
): Promise<GuestEnd> {
  const run = await world.ready();
  let forged = false;
  forgeClaims(world, async (answer, asked, token) => {
    if (!answer.go) return answer;
    forged = true;
    return { ...answer, go: await change(structuredClone(answer.go), asked, token) };
  });
  try {
    const end = await world.guest(world.job(world.target.consumer), { run });
    if (!forged) throw new Error(`the consumer was not given work before it ended with ${end.code}`);
    return end;
  } finally {
    world.ledger.hostile = undefined;
  }
}

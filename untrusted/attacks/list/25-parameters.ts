import { generateKeyPairSync } from "node:crypto";
import { sealTo } from "../../../protocol/jwe";
import { jwsDigest, peekJws, signJws } from "../../../protocol/jws";
import { parameterContext, runRequest } from "../../../protocol/messages";
import { answerWith } from "../support/operator";
import type { Attack } from "../types";

/** Anybody can encrypt to a step's public parameter key; only a request that a run key signed may carry it. */
export const parameters: Attack = {
  number: 25,
  title: "parameters of the attacker's choice",
  power: "ledger operator",
  expected: ["REQUEST"],
  mount: async (world) => {
    const { consumer } = world.target;
    const { pipelineUid, steps } = world.descriptor;
    const key = steps[consumer]?.parameterKey ?? "";
    const evil = await sealTo(key, parameterContext(pipelineUid, consumer), Buffer.from('{"threshold":0}'));
    const stranger = generateKeyPairSync("ed25519").privateKey;
    const swapped = (request: string) => {
      const read = peekJws("sealflow-run+jwt", request, runRequest);
      return { ...read, parameters: { ...read.parameters, [consumer]: evil } };
    };
    const patched = (request: string): string => {
      const [header, , signature] = request.split(".");
      return [header, Buffer.from(JSON.stringify(swapped(request))).toString("base64url"), signature].join(".");
    };
    const tries = [];
    for (const [tried, change] of Object.entries({
      "put into the signed request": async (r: string) => patched(r),
      "in a request signed anew": (r: string) => signJws("sealflow-run+jwt", swapped(r), stranger),
    })) {
      for (const named of [true, false]) {
        const end = await answerWith(world, async (go) => {
          const request = await change(go.request);
          return { ...go, request, run: named ? jwsDigest(request) : go.run };
        });
        tries.push({ tried: `${tried}, ${named ? "under its own" : "under the old"} name`, ended: end.code });
      }
    }
    return tries;
  },
};

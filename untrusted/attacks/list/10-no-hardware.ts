import { base64 } from "../../../protocol/bytes";
import { call } from "../support/http";
import { initdataOf, KbsGuest, resourceOf } from "../support/kbs-guest";
import type { Attack } from "../types";

/** A plain container has no evidence, or evidence that anybody can make; production policies know neither. */
export const noHardware: Attack = {
  number: 10,
  title: "a plain runtime class: no evidence, made-up evidence, borrowed evidence",
  power: "control plane",
  expected: ["TokenNotFound", "TokenVerifierError", "PolicyDeny", "AttestationError"],
  mount: async (world) => {
    const { consumer } = world.target;
    const path = resourceOf(world, consumer);
    const text = initdataOf(world, consumer);
    const plain = await call(world, world.kbs, `/kbs/v0/resource/${path}`);
    const token = `${base64(Buffer.from('{"alg":"none"}'))}.${base64(Buffer.from("{}"))}.`;
    const tries = [
      { tried: "no token", ended: plain.code },
      {
        tried: "a token that nobody signed",
        ended: await new KbsGuest(world).get(path, { authorization: `Bearer ${token}` }),
      },
      {
        tried: "evidence for another key",
        ended: await new KbsGuest(world).fetch(path, text, (a) => ({
          ...a,
          "runtime-data": {
            ...a["runtime-data"],
            "tee-pubkey": { ...a["runtime-data"]["tee-pubkey"], x: "A".repeat(43) },
          },
        })),
      },
      {
        tried: "evidence of another handshake",
        ended: await new KbsGuest(world).fetch(path, text, (a) => ({
          ...a,
          "runtime-data": { ...a["runtime-data"], nonce: base64(Buffer.alloc(32)) },
        })),
      },
    ];
    await world.installProductionPolicies();
    tries.push({
      tried: "simulated evidence under production policies",
      ended: await new KbsGuest(world).fetch(path, text),
    });
    await world.fresh();
    return tries;
  },
};

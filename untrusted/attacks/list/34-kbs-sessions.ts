import { call } from "../support/http";
import { initdataOf, KbsGuest, resourceOf } from "../support/kbs-guest";
import type { Attack } from "../types";

/** Tokens and sessions are tied to the key of the guest that attested: nobody else can open what they bring. */
export const kbsSessions: Attack = {
  number: 34,
  title: "another guest's session or token at the key broker",
  power: "network",
  expected: ["OTHER_KEY", "TokenNotFound", "AdminAuthAccess", "AdminAuthInitialization"],
  mount: async (world) => {
    const { consumer } = world.target;
    const path = resourceOf(world, consumer);
    const text = initdataOf(world, consumer);
    const victim = new KbsGuest(world);
    const session = await victim.begin();
    const { token, cookie } = await victim.attest(text, undefined, session);
    if ((await victim.get(path, { authorization: `Bearer ${token}` })) !== "KEY_RELEASED") {
      throw new Error("the honest guest got no bundle, so the attacker's failure shows nothing");
    }
    const attacker = new KbsGuest(world);
    const taken = await attacker.attest(text, undefined, session);
    const put = await call(world, world.kbs, `/kbs/v0/resource/${path}`, {
      method: "POST",
      body: "x",
      headers: { cookie },
    });
    const policy = await call(world, world.kbs, "/kbs/v0/resource-policy", {
      method: "POST",
      body: "{}",
      headers: { cookie, authorization: `Bearer ${token}` },
    });
    return [
      { tried: "the victim's token", ended: await attacker.get(path, { authorization: `Bearer ${token}` }) },
      { tried: "the victim's session", ended: await attacker.get(path, { cookie }) },
      {
        tried: "attested again in the victim's session",
        ended: taken.token ? await attacker.get(path, { authorization: `Bearer ${taken.token}` }) : taken.code,
      },
      {
        tried: "a session of its own choosing",
        ended: await attacker.get(path, { cookie: "kbs-session-id=00000000000000000000000000000000" }),
      },
      { tried: "a resource written with a guest's session", ended: put.code },
      { tried: "a policy set with a guest's token", ended: policy.code },
    ];
  },
};

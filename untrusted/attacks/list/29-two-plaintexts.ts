import { randomBytes } from "node:crypto";
import { parseEdgeName } from "../../../protocol/names";
import { commitAnswerIn } from "../support/http";
import { Impostor } from "../support/impostor";
import type { Attack } from "../types";

/** AES-GCM opens under two keys for whoever makes the ciphertext so; the receipt commits to one. */
export const twoPlaintexts: Attack = {
  number: 29,
  title: "two recipients shown different plaintexts of one object",
  power: "leaked bundle",
  expected: ["RELEASE_KEY", "NO_RELEASE"],
  mount: async (world) => {
    const [release] = Object.values(world.descriptor.releases);
    if (!release) return [{ tried: "the pipeline releases nothing", ended: "NO_RELEASE" }];
    const { step } = parseEdgeName(release.from);
    await world.fresh();
    const run = await world.owner.openRun();
    for (const before of world.order.filter((s) => s !== step)) {
      if (world.order.indexOf(before) < world.order.indexOf(step)) await world.guest(world.job(before), { run });
    }
    const impostor = Impostor.of(world, await world.bundle(step));
    const answer = await impostor.commit(await impostor.claimed(run), { releasedKey: randomBytes(32) });
    const { status } = commitAnswerIn(answer);
    if (status !== "committed") throw new Error(`the commit was answered with ${status}`);
    for (const after of world.order.slice(world.order.indexOf(step) + 1)) await world.guest(world.job(after), { run });
    const found = await world.owner.fetch(run, `${await world.scratch()}/run`).catch((e: { code: string }) => [e.code]);
    return [
      { tried: "the release is wrapped with another key than the receipt commits to", ended: found[0] ?? "OPENED" },
    ];
  },
};

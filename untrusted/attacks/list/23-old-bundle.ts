import { generateKeyPairSync } from "node:crypto";
import { utf8 } from "../../../protocol/bytes";
import { signJws } from "../../../protocol/jws";
import { Impostor } from "../support/impostor";
import { resourceOf } from "../support/kbs-guest";
import type { Attack } from "../types";

/** Whoever can write to the key broker's store has the keys; what he serves must still be the owner's and this step's. */
export const oldBundle: Attack = {
  number: 23,
  title: "another bundle under a step's path",
  power: "host",
  expected: ["BUNDLE_PROGRAM", "BUNDLE_SIGNATURE"],
  mount: async (world) => {
    const { consumer, producer } = world.target;
    const own = await world.bundle(consumer);
    const { bundle } = Impostor.of(world, own);
    const stranger = generateKeyPairSync("ed25519").privateKey;
    const neighbour = await world.neighbour();
    const bundles = {
      "the producer's": await world.bundle(producer),
      "another owner's": await neighbour.bundle("reader"),
      "its own, signed by a stranger": await signJws("sealflow-bundle+jwt", bundle, stranger),
      "its own with a byte flipped": `${own.slice(0, -3)}${own.at(-3) === "A" ? "B" : "A"}${own.slice(-2)}`,
      "its own with alg none": own.replace(
        /^[^.]+/,
        Buffer.from('{"alg":"none","typ":"sealflow-bundle+jwt"}').toString("base64url"),
      ),
      "nothing but text": "{}",
    };
    const tries = [];
    for (const [tried, token] of Object.entries(bundles)) {
      const run = await world.ready();
      await world.putResource(resourceOf(world, consumer), utf8(token));
      tries.push({ tried, ended: (await world.guest(world.job(consumer), { run })).code });
    }
    await world.fresh();
    return tries;
  },
};

import { Impostor } from "../support/impostor";
import type { Attack, World } from "../types";

/** A pickle that runs a command when it is loaded. */
const PICKLE = Buffer.from("\x80\x04cposix\nsystem\nX\x02\x00\x00\x00id\x85R.", "latin1");
/** NumPy's header of an array of objects, which is a pickle. */
const HEADER = "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }";
const NPY = Buffer.concat([
  Buffer.from("\x93NUMPY\x01\x00", "latin1"),
  Buffer.of(118, 0),
  Buffer.from(`${HEADER.padEnd(117)}\n`),
  PICKLE,
]);

async function fed(world: World, plaintext: Buffer): Promise<string> {
  const { producer, output, consumer, before } = world.target;
  await world.fresh();
  const run = await world.owner.openRun();
  for (const step of before.slice(0, -1)) await world.guest(world.job(step), { run });
  const impostor = Impostor.of(world, await world.bundle(producer));
  const answer = await impostor.commit(await impostor.claimed(run), { outputs: { [output]: plaintext } });
  if (answer.status !== 200) throw new Error(`the producer's commit was answered with ${answer.code}`);
  return (await world.guest(world.job(consumer), { run })).code;
}

/** The producer's program is the attacker's: what it writes is signed and sealed as it should be. */
export const pickle: Attack = {
  number: 21,
  title: "a serialised model that runs code in whoever loads it",
  power: "leaked bundle",
  expected: ["FORMAT", "FORMAT_ADMITS_BYTES"],
  mount: async (world) => {
    const { producer, output } = world.target;
    const format = world.descriptor.steps[producer]?.outputs[output]?.format;
    const tries = [];
    for (const [tried, bytes] of Object.entries({ pickle: PICKLE, "NumPy array of objects": NPY })) {
      const ended = await fed(world, bytes);
      tries.push({
        tried: `${tried} on an edge of ${format}`,
        ended: ended === "COMMITTED" && format === "bytes" ? "FORMAT_ADMITS_BYTES" : ended,
      });
    }
    return tries;
  },
};

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { edgeAssociatedData } from "../../../protocol/associated";
import { objectName } from "../../../protocol/keys";
import { openBytes } from "../../../protocol/stream";
import { commitAnswerIn } from "../support/http";
import { Impostor } from "../support/impostor";
import { forgeClaims } from "../support/operator";
import type { Attack, World } from "../types";

/**
 * Whoever has the bundles of a generation, and every power of the untrusted side, after its owner rotated the keys. The
 * owner did not even take the old grants back.
 */
export const oldKeys: Attack = {
  number: 43,
  title: "keys of an old generation used again after a rotation",
  power: "leaked bundle",
  expected: ["VERSION_CLOSED", "CLAIM_REFUSED", "RUN_UNKNOWN", "INPUT_RECEIPT", "DESCRIPTOR", "OTHER_KEY"],
  mount: async (world) => {
    await world.fresh();
    const neighbour = await world.neighbour();
    const run = await neighbour.openRun();
    const old = {
      writer: await impostor(world, neighbour, "writer"),
      reader: await impostor(world, neighbour, "reader"),
    };
    const written = await old.writer.claimed(run);
    await old.writer.commit(written, { outputs: { out: Buffer.from("{}") } });
    const reading = await old.reader.claimed(run);

    const rotated = await neighbour.rotate();
    const late = await old.reader.commit(reading, { outputs: { report: Buffer.from("{}") } });
    const next = await rotated.openRun();
    const tries = [
      { tried: "a guest that was at work commits", ended: commitAnswerIn(late).refusal ?? "COMMITTED" },
      { tried: "the old keys claim in a run of the new ones", ended: (await old.writer.claim(next)).code },
      { tried: "the old keys claim in any run", ended: (await old.writer.claim(null)).code },
      {
        tried: "an old manifest is started for the new run",
        ended: (await world.guest(neighbour.jobs.writer, { run: next })).code,
      },
    ];

    const fresh = await impostor(world, rotated, "writer");
    const granted = await fresh.claimed(next);
    await fresh.commit(granted, { outputs: { out: Buffer.from("{}") } });
    const opens = (by: Impostor) => opensObject(world, by, fresh, granted);
    if (opens(fresh) !== "OPENED") throw new Error("the new keys do not open their own object");
    tries.push({ tried: "an old bundle and the run secret against a new object", ended: opens(old.reader) });

    for (const [tried, change] of [
      ["a new guest is given what the old keys made", { inputs: reading.go.inputs }],
      ["a new guest is given the old version", { descriptor: reading.go.descriptor }],
    ] as const) {
      forgeClaims(world, (answer) => (answer.go ? { ...answer, go: { ...answer.go, ...change } } : answer));
      tries.push({ tried, ended: (await world.guest(rotated.jobs.reader, { run: next })).code });
      world.ledger.hostile = undefined;
    }
    await world.fresh();
    return tries;
  },
};

const impostor = async (world: World, of: { bundle(step: string): Promise<string> }, step: string): Promise<Impostor> =>
  Impostor.of(world, await of.bundle(step));

/** @param by whose edge roots; @param maker whose object it is. */
function opensObject(
  world: World,
  by: Impostor,
  maker: Impostor,
  granted: Awaited<ReturnType<Impostor["claimed"]>>,
): string {
  const { run, shard, attempt } = granted.go;
  const { pipelineUid, step } = maker.bundle.program;
  const edge = `${step}.out`;
  const file = join(world.home, "dev", "objects", objectName(run, edge, shard, attempt));
  const ad = edgeAssociatedData({ pipelineUid, run, edge, shard, attempt, format: "json" });
  try {
    openBytes(by.keyOf(granted, edge, shard, attempt, step), ad, readFileSync(file));
    return "OPENED";
  } catch {
    return "OTHER_KEY";
  }
}

import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { objectName } from "../../../protocol/keys";
import { edgeName } from "../../../protocol/names";
import type { Attack, World } from "../types";

/** The consumer's input as the store has it, changed before the consumer reads it. */
async function tampered(
  world: World,
  change: (bytes: Buffer, file: string, run: string) => Buffer | undefined,
): Promise<string> {
  const run = await world.ready();
  const { producer, output, consumer } = world.target;
  const file = join(world.home, "dev", "objects", objectName(run, edgeName(producer, output), 0, 1));
  const changed = change(readFileSync(file), file, run);
  rmSync(file);
  if (changed) writeFileSync(file, changed);
  return (await world.guest(world.job(consumer), { run })).code;
}

export const objects: Attack = {
  number: 11,
  title: "an edge's object flipped, cut, extended, reordered, swapped",
  power: "object store",
  expected: ["INPUT_DIGEST", "INPUT_SEAL"],
  mount: async (world) => {
    const { producer } = world.target;
    const neighbour = await world.neighbour();
    const changes: Record<string, (bytes: Buffer, file: string, run: string) => Buffer> = {
      "first byte flipped": (b) => flipped(b, 0),
      "a byte in the middle flipped": (b) => flipped(b, b.length >> 1),
      "last byte flipped": (b) => flipped(b, b.length - 1),
      "cut by one byte": (b) => b.subarray(0, -1),
      empty: () => Buffer.alloc(0),
      "extended by one byte": (b) => Buffer.concat([b, Buffer.of(0)]),
      "halves swapped": (b) => Buffer.concat([b.subarray(b.length >> 1), b.subarray(0, b.length >> 1)]),
      "the log of the same attempt": (_b, file, run) =>
        readFileSync(join(file, "..", "..", "..", objectName(run, edgeName(producer, "log"), 0, 1))),
      "an object of another owner's pipeline": () =>
        readFileSync(join(neighbour.folder, "objects", anyObject(neighbour.folder))),
    };
    const tries = [];
    for (const [tried, change] of Object.entries(changes)) tries.push({ tried, ended: await tampered(world, change) });
    return tries;
  },
};

function flipped(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = (copy[at] as number) ^ 1;
  return copy;
}

const anyObject = (folder: string): string => readdirSync(join(folder, "objects"))[0] as string;

import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Attack } from "../types";

/** A folder that holds together by itself: another owner's run, made to look like this one's. */
export const ownKeys: Attack = {
  number: 31,
  title: "a folder that verifies only with its own keys",
  power: "folder from elsewhere",
  expected: ["SIGNATURE"],
  mount: async (world) => {
    const neighbour = await world.neighbour();
    const copy = join(await world.scratch(), "run");
    cpSync(neighbour.folder, copy, { recursive: true });
    const own = await neighbour.findings(copy);
    if (own.length > 0)
      throw new Error(`the neighbour's folder does not even verify with its own keys: ${own.join(", ")}`);
    const foreign = await world.owner.verify(copy);
    const file = join(copy, "manifest.json");
    const manifest = readFileSync(file, "utf8");
    writeFileSync(file, manifest.replace(neighbour.descriptor.pipelineUid, world.descriptor.pipelineUid));
    const relabelled = await world.owner.verify(copy);
    return [
      { tried: "another owner's run", ended: foreign[0] ?? "VERIFIED" },
      { tried: "the same, named after this pipeline", ended: relabelled[0] ?? "VERIFIED" },
    ];
  },
};

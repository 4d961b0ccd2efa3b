import { copyFileSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { objectName } from "../../../protocol/keys";
import { edgeName } from "../../../protocol/names";
import type { Attack } from "../types";

/** The store shows an earlier run's objects for the present one's. */
export const storeRollback: Attack = {
  number: 12,
  title: "the whole store rolled back to an earlier run",
  power: "object store",
  expected: ["INPUT_DIGEST", "INPUT_SEAL"],
  mount: async (world) => {
    const earlier = await world.ready();
    const old = join(world.home, "dev", "objects", "runs", earlier);
    const kept = await world.scratch();
    for (const file of readdirSync(old)) copyFileSync(join(old, file), join(kept, file));
    const run = await world.owner.openRun();
    for (const step of world.target.before) await world.guest(world.job(step), { run });
    const { producer, output, consumer } = world.target;
    const place = (of: string) => objectName(of, edgeName(producer, output), 0, 1);
    const now = join(world.home, "dev", "objects", place(run));
    const before = readFileSync(join(kept, place(earlier).split("/").at(-1) as string));
    rmSync(now);
    writeFileSync(now, before);
    const { code } = await world.guest(world.job(consumer), { run });
    return [{ tried: "the producer's object of an earlier run in the place of this run's", ended: code }];
  },
};

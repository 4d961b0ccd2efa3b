import { cpSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { RunImport } from "../../../protocol/messages";
import { forgeClaims } from "../support/operator";
import type { Attack, Neighbour, World } from "../types";

/** One step of a pipeline reads another owner's release; each run pins of which run of the producer. */
export const swappedProducer: Attack = {
  number: 42,
  title: "another run's object read as the release that a run pins",
  power: "ledger operator",
  expected: ["INPUT_DIGEST", "REQUEST", "IMPORT"],
  mount: async (world) => {
    await world.fresh();
    const neighbour = await world.neighbour();
    const { importer } = neighbour;
    const pinned = await importer.pin(neighbour.folder);
    const read = async (pin: RunImport) => world.guest(importer.job, { run: await importer.openRun(pin) });
    const honest = await read(pinned);
    if (honest.code !== "COMMITTED") throw new Error(`an honest import ended with ${honest.code}`);
    const otherFolder = await secondRun(world, neighbour);
    const other = await importer.pin(otherFolder);

    const place = join(world.home, "dev", "objects", "datasets", pinned.object.digest);
    const bytes = readFileSync(place);
    writeFileSync(place, readFileSync(place.replace(pinned.object.digest, other.object.digest)));
    const tries = [{ tried: "the store has the other run's object in its place", ended: (await read(pinned)).code }];
    writeFileSync(place, bytes);

    const wanted = await importer.openRun(pinned);
    const elsewhere = await importer.openRun(other);
    let foreign: string | undefined;
    forgeClaims(world, (answer) => {
      foreign ??= answer.go?.request;
      return answer;
    });
    await world.guest(importer.job, { run: elsewhere });
    forgeClaims(world, (answer) =>
      answer.go ? { ...answer, go: { ...answer.go, request: foreign as string } } : answer,
    );
    tries.push({
      tried: "the answer names the run, with the request of one that pins the other object",
      ended: (await world.guest(importer.job, { run: wanted })).code,
    });
    world.ledger.hostile = undefined;

    const mixed: Record<string, RunImport> = {
      "a run pins the other run's commit": { ...pinned, commit: other.commit },
      "a run pins the other run's object": { ...pinned, object: other.object },
    };
    for (const [tried, pin] of Object.entries(mixed)) tries.push({ tried, ended: (await read(pin)).code });

    const folder = await world.scratch();
    cpSync(neighbour.folder, folder, { recursive: true });
    for (const part of ["commits", "objects"]) {
      for (const file of readdirSync(join(otherFolder, part)))
        cpSync(join(otherFolder, part, file), join(folder, part, file));
    }
    tries.push({
      tried: "the producer's run folder holds the other run's commits and objects when the run is pinned",
      ended: await importer.pin(folder).then(
        () => "PINNED",
        (error: { code?: string }) => error.code ?? "FAILED",
      ),
    });
    await world.fresh();
    return tries;
  },
};

/** @returns the folder of one run of the producer more. */
async function secondRun(world: World, neighbour: Neighbour): Promise<string> {
  const run = await neighbour.openRun();
  for (const step of ["writer", "reader"]) {
    const { code } = await world.guest(neighbour.jobs[step], { run });
    if (code !== "COMMITTED") throw new Error(`the producer's ${step} ended with ${code}`);
  }
  return neighbour.importer.folderOf(run);
}

import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { scan } from "../support/scan";
import type { Attack } from "../types";

/** After a whole run, everything that untrusted parties can read, looked through for what they may not see. */
export const leaks: Attack = {
  number: 19,
  title: "images, manifests, store, ledger and run folder searched for secrets",
  power: "host",
  expected: ["NOTHING_FOUND"],
  mount: async (world) => {
    const folder = await world.folder();
    const secrets = await world.secrets();
    if (secrets.length === 0) throw new Error("there is nothing to look for");
    const { home } = world;
    const places = {
      manifests: [join(home, "backend")],
      "object store": [join(home, "dev", "objects")],
      "ledger's database": [join(home, "dev", "ledger", "ledger.db")],
      "run folder": [join(folder, "commits")],
      images: blobs(join(home, "images")),
      "leftovers of guests": [join(home, "guests")],
    };
    return Object.entries(places)
      .map(([name, all]) => [name, all.filter((place) => existsSync(place))] as const)
      .filter(([, all]) => all.length > 0)
      .map(([name, all]) => {
        const [hit] = scan(all, secrets).hits;
        return {
          tried: `${name}: ${secrets.length} secrets`,
          ended: hit === undefined ? "NOTHING_FOUND" : `FOUND_IN_${hit.file}`,
        };
      });
  },
};

/** Of all layouts, each once: the public layers are the same in every image. */
function blobs(images: string): string[] {
  const found = new Map<string, string>();
  for (const layout of readdirSync(images)) {
    const folder = join(images, layout, "blobs", "sha256");
    for (const name of readdirSync(folder)) found.set(name, join(folder, name));
  }
  return [...found.values()];
}

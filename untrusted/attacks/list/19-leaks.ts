import { existsSync } from "node:fs";
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
      manifests: join(home, "backend"),
      "object store": join(home, "dev", "objects"),
      "ledger's database": join(home, "dev", "ledger", "ledger.db"),
      "run folder": join(folder, "commits"),
      images: join(home, "images"),
      "leftovers of guests": join(home, "guests"),
    };
    return Object.entries(places)
      .filter(([, place]) => existsSync(place))
      .map(([name, place]) => {
        const { hits } = scan([place], secrets);
        return {
          tried: `${name}: ${secrets.length} secrets`,
          ended: hits.length === 0 ? "NOTHING_FOUND" : `FOUND_IN_${hits[0]?.file}`,
        };
      });
  },
};

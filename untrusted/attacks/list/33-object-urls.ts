import { call, pathOf } from "../support/http";
import { Impostor } from "../support/impostor";
import type { Attack } from "../types";

/** Whoever sees a URL of the store: the node between guest and store does not, but an intermediary of another store may. */
export const objectUrls: Attack = {
  number: 33,
  title: "store URLs used again, for other objects, other operations, later",
  power: "network",
  expected: ["FORBIDDEN", "OBJECT_CONFLICT", "NOT_FOUND", "SAME_BYTES"],
  mount: async (world) => {
    const { consumer, input } = world.target;
    const run = await world.ready();
    const impostor = Impostor.of(world, await world.bundle(consumer));
    const { go } = await impostor.claimed(run);
    const put = pathOf(go.log.url);
    const get = pathOf(go.inputs[input]?.[0]?.url ?? "");
    const send = (method: string, path: string) =>
      call(world, world.ledger, path, { method, ...(method === "PUT" ? { body: "evil" } : {}) });
    const first = await send("PUT", put);
    if (first.status !== 201) throw new Error(`the honest upload was answered with ${first.code}`);
    const again = await call(world, world.ledger, put, { method: "PUT", body: "other" });
    const same = await send("PUT", put);
    return [
      { tried: "other bytes for an object that is there", ended: again.code },
      { tried: "the same bytes again", ended: same.status === 200 ? "SAME_BYTES" : same.code },
      { tried: "an upload with a URL for reading", ended: (await send("PUT", get)).code },
      { tried: "reading with a URL for uploading", ended: (await send("GET", put)).code },
      { tried: "the operation renamed", ended: (await send("PUT", get.replace("op=get", "op=put"))).code },
      { tried: "a second op parameter", ended: (await send("PUT", `${get}&op=put`)).code },
      { tried: "a later expiry", ended: (await send("GET", get.replace(/exp=\d+/, "exp=99999999999"))).code },
      { tried: "another object", ended: (await send("GET", get.replace(/[0-9a-f]{64}\?/, `${"0".repeat(64)}?`))).code },
      {
        tried: "a path out of the store",
        ended: (await send("GET", get.replace("/objects/", "/objects/../ledger/"))).code,
      },
      {
        tried: "an encoded path out of the store",
        ended: (await send("GET", get.replace("/objects/", "/objects/%2e%2e%2f"))).code,
      },
      { tried: "no signature", ended: (await send("GET", get.replace(/sig=[^&]+/, ""))).code },
    ];
  },
};

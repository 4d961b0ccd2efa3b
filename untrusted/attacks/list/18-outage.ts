import type { Attack, World } from "../types";

async function meanwhile(world: World, hostile: (request: Request) => Promise<Response>): Promise<string> {
  const run = await world.ready();
  world.kbs.hostile = hostile;
  try {
    return (await world.guest(world.job(world.target.consumer), { run })).code;
  } finally {
    world.kbs.hostile = undefined;
  }
}

export const outage: Attack = {
  number: 18,
  title: "the key broker is away, broken or slow",
  power: "network",
  expected: ["KBS_UNREACHABLE", "COMMITTED"],
  mount: async (world) => {
    const { kbs } = world;
    let failures = 0;
    return [
      {
        tried: "it answers 503 to everything",
        ended: await meanwhile(world, async () => new Response("busy", { status: 503 })),
      },
      { tried: "it answers with pages that are no JSON", ended: await garbage(world) },
      {
        tried: "it fails twice, then works",
        ended: await meanwhile(world, async (request) =>
          failures++ < 2 ? new Response("busy", { status: 500 }) : kbs.honest(request),
        ),
      },
    ];
  },
};

/** Whatever it ends in, it is an end. */
async function garbage(world: World): Promise<string> {
  const code = await meanwhile(world, async () => new Response("<html>", { status: 200 }));
  return code === "COMMITTED" ? "COMMITTED_WITHOUT_KEYS" : code;
}

/** Every kind of request that a guest makes is mistreated once, in every way; the run completes all the same. */
import { cannotRunGuests } from "../guest/support/runner-layer";
import { FAULTS } from "./support/proxy";
import { chainOf, TOTAL, World } from "./support/world";

/** Every kind of request of docs/protocol section 4, by its point there. */
const REQUESTS = {
  "2 attestation": /^POST \/kbs\/v0\/(auth|attest)$/,
  "2 bundle": /^GET \/kbs\/v0\/resource\/[^/]+\/step\//,
  "image key": /^GET \/kbs\/v0\/resource\/[^/]+\/image\//,
  "4 claim": /^POST \/v1\/claims$/,
  "10 input": /^GET \/objects\//,
  "12 upload": /^PUT \/objects\//,
  "13 commit": /^POST \/v1\/commits$/,
};

const reason = cannotRunGuests();
(reason ? describe.skip : describe)(`a bad network${reason ? ` (${reason})` : ""}`, () => {
  let world: World;
  beforeAll(async () => {
    world = await World.make(chainOf(3));
  }, 300_000);
  afterAll(() => world.close());

  test.each(Object.entries(FAULTS))(
    "%s",
    async (_how, fault) => {
      world.proxy.rules = Object.values(REQUESTS).map((on) => ({ on, fault }));
      world.proxy.mistreated.length = 0;
      const run = await world.deployed.openRun();
      const ends = await world.carryOut(run);
      expect(ends.map(({ state }) => state)).toEqual(["committed", "committed", "committed"]);
      // Every rule had its turn.
      expect(world.proxy.mistreated).toHaveLength(Object.keys(REQUESTS).length);
      expect(await world.verified(run, "third-total")).toEqual(TOTAL);
    },
    300_000,
  );
});

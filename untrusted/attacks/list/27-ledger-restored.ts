import { peekJws } from "../../../protocol/jws";
import { head } from "../../../protocol/messages";
import { signAsLedger } from "../support/operator";
import type { Attack, World } from "../types";

const codeOf = (error: unknown): string => (error as { code?: string }).code ?? String(error);
const asks = (world: World, seen: string): Promise<string> => world.owner.head(seen).then(() => "BELIEVED", codeOf);

/** The database is put back to before a run that somebody saw. */
export const ledgerRestored: Attack = {
  number: 27,
  title: "the ledger's database restored from an older copy, or forked",
  power: "ledger operator",
  expected: ["ROLLBACK", "LOG_PROOF", "CLAIM_REFUSED"],
  mount: async (world) => {
    const run = await world.done();
    const seen = await world.owner.head();
    await world.fresh();
    const tries = [{ tried: "a command asks for the head", ended: await asks(world, seen) }];

    const { ledger } = world;
    const lie = async (request: Request, change: (h: Record<string, unknown>) => Record<string, unknown>) => {
      const url = new URL(request.url);
      if (url.pathname !== "/v1/heads") return ledger.honest(request);
      url.search = "";
      const honest = (await (await ledger.honest(new Request(url))).json()) as { head: string };
      const read = peekJws("sealflow-head+jwt", honest.head, head);
      return Response.json({ head: await signAsLedger(world, "sealflow-head+jwt", change(read)), consistency: [] });
    };
    const { size } = peekJws("sealflow-head+jwt", seen, head);
    for (const [tried, change] of Object.entries({
      "the head says the size that was seen, with the old root": (h: object) => ({ ...h, size }),
      "the head says a larger size": (h: object) => ({ ...h, size: size + 1 }),
    })) {
      ledger.hostile = (request) => lie(request, change);
      tries.push({ tried, ended: await asks(world, seen) });
      ledger.hostile = undefined;
    }
    tries.push({
      tried: "a guest for the run that is gone",
      ended: (await world.guest(world.job(world.target.consumer), { run })).code,
    });
    return tries;
  },
};

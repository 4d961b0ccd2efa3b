/** Makes what attacks are mounted on: a copy of the project's state, services on it, the honest owner, a neighbour. */
import { rmSync } from "node:fs";
import { peekJws } from "../../protocol/jws";
import { descriptor } from "../../protocol/messages";
import { bundlePath } from "../../protocol/names";
import { adminTokens, KbsAdmin } from "../../relying-party/kbs-client";
import type { Ground, Neighbour } from "../../untrusted/attacks";
import { routeTo } from "../../untrusted/attacks/support/world";
import type { Deployed } from "../support/pipelines";
import { copyState } from "./copy";
import { deployNeighbour } from "./neighbour";
import { honestOwner } from "./owner";
import { secretTexts, storedResource } from "./secrets";
import { Services } from "./services";

export interface GroundOptions {
  readonly home: string;
  readonly deployed: Deployed;
  /** Of honest runs, by step. */
  readonly parameters: Readonly<Record<string, unknown>>;
  /** Further texts that nobody untrusted may see. */
  readonly canaries: readonly string[];
  /** Kept between projects; the runner layer is in it. */
  readonly cacheDir: string;
}

/** The ground, until `close`. Nothing of the project is changed. */
export async function makeGround(options: GroundOptions): Promise<{ ground: Ground; close(): Promise<void> }> {
  const { connection } = options.deployed;
  const home = await copyState(options.home);
  const closers: (() => unknown)[] = [() => rmSync(home, { recursive: true, force: true })];
  const close = async () => {
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  try {
    const services = await Services.start(home, connection);
    closers.push(() => services.close());
    const owner = honestOwner(home, services, connection, options.parameters);
    closers.push(() => owner.close());
    const d = peekJws("sealflow-descriptor+jwt", connection.descriptor, descriptor);
    const admin = (mode: "development" | "production") =>
      new KbsAdmin({
        url: `https://127.0.0.1:${services.kbs.port}`,
        caPem: connection.caPem,
        token: adminTokens(services.adminKey),
        mode,
      });
    const asAdmin = async (mode: "development" | "production", work: (kbs: KbsAdmin) => Promise<void>) => {
      const kbs = admin(mode);
      await work(kbs).finally(() => kbs.close());
    };
    const ground: Ground = {
      home,
      connection,
      kbs: services.kbs,
      ledger: services.ledger,
      owner,
      save: () => services.save(),
      restore: (name) => services.restore(name),
      async bundle(step) {
        const programId = d.steps[step]?.programId ?? "";
        return Buffer.from(storedResource(home, bundlePath(d.ns, programId))).toString("utf8");
      },
      putResource: (place, bytes) => asAdmin("development", (kbs) => kbs.putResource(place, bytes)),
      installProductionPolicies: () => asAdmin("production", (kbs) => kbs.putPolicies()),
      secrets: async () => [...secretTexts(home, d.ns), ...options.canaries],
      neighbour: () => Promise.reject(new Error("the neighbour is not deployed yet")),
    };
    // Deployed before anything else is saved, so that every restored state has it.
    await asAdmin("development", (kbs) => kbs.putPolicies());
    const neighbour = await deployNeighbour(home, services, connection, routeTo(ground), options.cacheDir);
    closers.push(() => neighbour.close());
    return { ground: { ...ground, neighbour: async (): Promise<Neighbour> => neighbour }, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Keys go only into a key broker that decides by Sealflow's policies: others might hand them to anybody attested. */
import { KbsError } from "../relying-party/kbs-client";
import type { RelyingParty } from "./relying-party";
import type { Context } from "./server/context";

/** By address and CA, for the life of the plugin: an update has many steps and one key broker. */
const tried = new Map<string, Promise<unknown>>();

/** Policies cannot be read back, so a simulated guest tries them. @throws KbsError POLICIES with what to do. */
export async function needPolicies(context: Context, { connection, kbs }: RelyingParty): Promise<void> {
  const key = `${connection.kbsUrl} ${connection.caPem}`;
  let trial = tried.get(key);
  if (trial === undefined) {
    context.log.status("trying the key broker's policies");
    trial = kbs.canary("any");
    tried.set(key, trial);
    trial.catch(() => tried.delete(key));
  }
  try {
    await trial;
  } catch (error) {
    if (!(error instanceof KbsError) || error.code !== "POLICIES") throw error;
    const remedy = "Install them: a KbsPolicy for each of attestation-cpu, attestation-gpu and resource";
    throw new KbsError("POLICIES", `no key is put there: ${error.message}. ${remedy}`, { cause: error });
  }
}

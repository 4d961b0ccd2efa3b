/**
 * Simulated guests in the place of hardware that is not here: whatever is granted to a TEE is granted to `sample` evidence
 * of the same initdata, too. Only who holds the admin key of the key broker can do that.
 */
import { readFileSync } from "node:fs";
import * as path from "node:path";
import { grantId, grantValue, identityOf, parseInitdata, parseInitdataAnnotation } from "../../policy";
import type { Tee } from "../../protocol/rcar";
import { KbsAdmin } from "../../relying-party/kbs-client";
import { devAdminTokens } from "./admin-key";
import type { ProjectPlace } from "./project";

export interface GrantedGuest {
  readonly initdata: string;
  /** What its grant opens. */
  readonly paths: readonly string[];
}

async function asAdmin<T>(project: ProjectPlace, work: (admin: KbsAdmin) => Promise<T>): Promise<T> {
  const { kbsUrl, caPem } = JSON.parse(readFileSync(path.join(project.home, "connection.json"), "utf8"));
  const admin = new KbsAdmin({ url: kbsUrl, caPem, token: devAdminTokens(project.home) });
  try {
    return await work(admin);
  } finally {
    admin.close();
  }
}

const idOf = (tee: Tee, initdata: string): string =>
  grantId(tee, identityOf(tee, initdata, parseInitdata(initdata).algorithm));

/** @param annotations initdata of steps, as their Jobs have them. @throws Error when one has no grant. */
export const guestsOf = (project: ProjectPlace, tee: Tee, annotations: readonly string[]): Promise<GrantedGuest[]> =>
  asAdmin(project, (admin) =>
    Promise.all(
      annotations.map(async (annotation) => {
        const initdata = parseInitdataAnnotation(annotation);
        const granted = (await admin.referenceValue(idOf(tee, initdata))) as { paths: string[] } | undefined;
        if (!granted) throw new Error(`no grant for a step of ${tee}`);
        return { initdata, paths: granted.paths };
      }),
    ),
  );

/** Simulated guests with the same initdata get the same from now on. */
export const playHardware = (project: ProjectPlace, guests: readonly GrantedGuest[]): Promise<void> =>
  asAdmin(project, async (admin) => {
    for (const { initdata, paths } of guests) {
      await admin.putGrant(idOf("sample", initdata), grantValue({ tee: "sample", paths }));
    }
  });

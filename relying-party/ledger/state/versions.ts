/** Versions of a pipeline: registered descriptors, their state, and what happens to their runs when they end. */
import { peekJws } from "../../../protocol/jws";
import { type Descriptor, descriptor } from "../../../protocol/messages";
import { splitTable, tableBehind } from "../../../protocol/table";
import type { Tx } from "../database/open";
import type { Tables } from "../database/tables";
import { Kept } from "./kept";
import { append } from "./log";

export type VersionState = "open" | "draining" | "closed" | "revoked";

/** Open: new runs and work. Draining: work on open runs only. Closed and revoked: nothing. */
export function versionState(
  version: Pick<Tables["versions"], "revoked_at" | "closes_at">,
  pipeline: Pick<Tables["pipelines"], "closed_at">,
  now: number,
): VersionState {
  if (version.revoked_at !== null) return "revoked";
  if (pipeline.closed_at !== null) return "closed";
  if (version.closes_at === null) return "open";
  return now < version.closes_at ? "draining" : "closed";
}

/**
 * Ends the open runs of a version that allows no more work, and deletes their secrets and those of runs that had ended
 * before: nobody is given them any more. Runs that have expired stay so: the sweep writes that down.
 */
export async function settleVersion(tx: Tx, version: string, pipelineUid: string, now: number): Promise<void> {
  const ended = await tx
    .updateTable("runs")
    .set({ state: "closed", ended_at: now, secret: null })
    .where("version", "=", version)
    .where("state", "=", "open")
    .where("expires_at", ">", now)
    .returning("run")
    .execute();
  await tx
    .updateTable("runs")
    .set({ secret: null })
    .where("version", "=", version)
    .where("state", "!=", "open")
    .where("secret", "is not", null)
    .execute();
  for (const { run } of ended.sort((a, b) => (a.run < b.run ? -1 : 1))) {
    await append(tx, { kind: "close", pipelineUid, digest: run, run, at: now });
  }
  await tx.updateTable("versions").set({ settled: 1 }).where("digest", "=", version).execute();
}

export interface Version {
  readonly d: Descriptor;
  /** Its text with the rows of these steps only. */
  part(steps: Iterable<string>): Promise<string>;
}

const versions = new Kept<Version>();

/** @param digest of a registered version. */
export const versionOf = (tx: Tx, digest: string): Promise<Version> =>
  versions.of(digest, async () => {
    const { token: text } = await tx
      .selectFrom("versions")
      .select("token")
      .where("digest", "=", digest)
      .executeTakeFirstOrThrow();
    const { signed } = splitTable(text);
    const table = await tableBehind(text);
    const part = async (steps: Iterable<string>) => `${signed}${await table.some(steps)}`;
    return { text, value: { d: peekJws("sealflow-descriptor+jwt", text, descriptor), part } };
  });

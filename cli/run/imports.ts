/** Releases of other pipelines that a run reads: which run of the producer, verified, pinned and copied as ciphertext. */
import { randomBytes } from "node:crypto";
import { createReadStream } from "node:fs";
import * as path from "node:path";
import { pinImport } from "../../owner/import";
import { signImportUpload } from "../../owner/run-request";
import type { ImportSource } from "../../protocol/imports";
import type { Descriptor, RunImport } from "../../protocol/messages";
import type { Context } from "../context";
import { CliError } from "../errors";
import { fetchInto } from "../support/fetch";
import { type LedgerSession, withLedger } from "../support/ledger";
import { listPipelines } from "../support/pipelines";

/** `--from rows=<folder>`: input → the producer's run folder. */
export type Folders = ReadonlyMap<string, string>;

/** @throws CliError USAGE. */
export function parseFolders(words: readonly string[] | undefined, cwd: string): Folders {
  return new Map(
    (words ?? []).map((word) => {
      const [input, folder] = [word.slice(0, word.indexOf("=")), word.slice(word.indexOf("=") + 1)];
      if (input === "" || folder === "") throw new CliError("USAGE", `--from ${word}: write <input>=<run folder>`);
      return [input, path.resolve(cwd, folder)] as const;
    }),
  );
}

/** @returns what the run request pins. @throws CliError IMPORTS, ImportError, ProtocolError, RunFolderError. */
export async function pinImports(
  context: Context,
  session: LedgerSession,
  d: Descriptor,
  folders: Folders,
): Promise<Record<string, RunImport>> {
  const wanted = new Map<string, ImportSource>();
  for (const { inputs } of Object.values(d.steps)) {
    for (const { imported } of Object.values(inputs)) if (imported) wanted.set(imported.input, imported);
  }
  for (const input of folders.keys()) {
    if (wanted.has(input)) continue;
    const known = [...wanted.keys()].join(", ") || "none";
    throw new CliError(
      "IMPORTS",
      `--from ${input}: the pipeline reads no other stack's release as "${input}" (has ${known})`,
    );
  }
  const imports: Record<string, RunImport> = {};
  for (const [input, source] of wanted) {
    const folder = folders.get(input) ?? (await newestFolder(context, source));
    const { pinned, file } = await pinImport(folder, source);
    const { pipelineUid, ownerPublicKey } = d;
    const options = {
      ledgerKey: session.ledger.ledgerKey,
      pipelineUid,
      ownerPublicKey,
      object: pinned.object,
      now: context.io.now(),
      random: randomBytes(32),
    };
    await session.ledger.upload(await signImportUpload(options, session.runKey), () => createReadStream(file));
    imports[input] = pinned;
  }
  return imports;
}

/** The producer's newest successful run, fetched, where this machine may read its ledger. */
async function newestFolder(context: Context, { input, pipelineUid, ledgerKey }: ImportSource): Promise<string> {
  const producer = listPipelines(context.home).find(({ connection }) => connection.pipelineUid === pipelineUid);
  if (!producer || producer.connection.ledgerKey !== ledgerKey) {
    throw new CliError(
      "IMPORTS",
      `input "${input}": its pipeline is not deployed from here. Get a run folder from its owner: --from ${input}=<folder>`,
    );
  }
  return withLedger(context, producer, async (session) => {
    const runs = await session.ledger.runs(pipelineUid, await session.read());
    const newest = runs.find(({ state }) => state === "succeeded");
    if (!newest)
      throw new CliError("IMPORTS", `input "${input}": pipeline "${producer.connection.name}" has no run yet`);
    return (await fetchInto(context, producer, session, newest.run, {})).dir;
  });
}

/**
 * Pins one release of another pipeline's run for a run of this one. The whole folder of the producer is verified first:
 * revocations and endings show only there, and a guest, which gets one commit with its proof, could not see them.
 */
import { readFileSync } from "node:fs";
import * as path from "node:path";
import { SealflowError } from "../../protocol/errors";
import { type ImportSource, verifyImport } from "../../protocol/imports";
import { leafBytes, type RunImport } from "../../protocol/messages";
import { parseEdgeName } from "../../protocol/names";
import { splitTable, tableBehind } from "../../protocol/table";
import { commitFile, descriptorFile, HEAD, objectFile } from "../run-folder/layout";
import { verifyFolder } from "../verify";

/** Append only. IMPORT: the folder does not verify, or is of another pipeline, or does not hold the release. */
export type ImportCode = "IMPORT";
export class ImportError extends SealflowError<ImportCode> {}

export interface Pinned {
  readonly pinned: RunImport;
  /** The object's ciphertext. */
  readonly file: string;
}

/** @param dir run folder of the producer, as `sealflow fetch` writes it. @throws ImportError, ProtocolError, RunFolderError. */
export async function pinImport(dir: string, source: ImportSource): Promise<Pinned> {
  const wrong = (what: string) => new ImportError("IMPORT", `input "${source.input}": ${dir}: ${what}`);
  const { ownerPublicKey, ledgerKey, pipelineUid, release } = source;
  const { report, counted, log, descriptor: d } = await verifyFolder(dir, { ownerPublicKey, ledgerKey });
  if (report.pipelineUid !== "" && report.pipelineUid !== pipelineUid) throw wrong("is a run of another pipeline");
  if (!report.ok || !d) {
    const [first] = report.problems;
    throw wrong(`does not verify: ${first ? `${first.file}: ${first.message} [${first.code}]` : "it holds no run"}`);
  }
  const released = Object.hasOwn(d.releases, release) ? d.releases[release] : undefined;
  if (!released) throw wrong(`releases no "${release}" (has ${Object.keys(d.releases).join(", ") || "none"})`);
  const { step, output } = parseEdgeName(released.from);
  const made = counted.filter(({ commit }) => commit.step === step);
  const [one, more] = made;
  if (more) throw wrong(`"${release}" has shards; collect them into one output there`);
  const object = one?.commit.outputs[output];
  if (!one?.entry || !object) throw wrong(`its run skipped the step that makes "${release}"`);
  const text = (file: string): string => readFileSync(path.join(dir, file), "utf8").trimEnd();
  const pinned: RunImport = {
    run: report.run,
    descriptor: await partOf(text(descriptorFile(report.version)), step),
    commit: text(commitFile(one.commit)),
    object,
    leaf: one.entry.seq,
    leafBytes: new TextDecoder().decode(leafBytes(one.entry)),
    inclusion: await log.inclusion(one.entry.seq),
    head: text(HEAD),
  };
  await verifyImport(source, pinned);
  return { pinned, file: path.join(dir, objectFile(object.digest)) };
}

/** The version with one row: every guest of the run gets it. */
const partOf = async (version: string, step: string): Promise<string> =>
  `${splitTable(version).signed}${await (await tableBehind(version)).some([step])}`;

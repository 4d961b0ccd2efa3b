/** Another pipeline's release: proved with its owner's and ledger's keys, opened with this pipeline's own. */
import { fromBase64url } from "../protocol/bytes";
import { privateKey, rawPublic } from "../protocol/crypto";
import { type ImportSource, verifyImport, wrappedFor } from "../protocol/imports";
import { openFrom } from "../protocol/jwe";
import { keyCommit } from "../protocol/keys";
import { releaseContext } from "../protocol/messages";
import type { Assignment } from "./answer";
import type { OpenedBundle } from "./bundle";
import { RunnerError, refuseWith } from "./errors";
import type { InputObject, Source } from "./input-object";

/** @throws RunnerError IMPORT, INPUT_KEY or ANSWER. */
export async function planImport(
  { bundle }: OpenedBundle,
  work: Assignment,
  name: string,
  source: Source,
  imported: ImportSource,
): Promise<InputObject> {
  const { imports } = work.request;
  const pinned = Object.hasOwn(imports, imported.input) ? imports[imported.input] : undefined;
  if (!pinned) throw new RunnerError("IMPORT", `input ${name}: the run pins no release for it`);
  const place = Object.hasOwn(work.go.datasets, name) ? work.go.datasets[name] : undefined;
  if (!place) throw new RunnerError("ANSWER", `claim answer: no place for input ${name}`);
  const { importSeed } = bundle;
  if (!importSeed) throw new RunnerError("INPUT_KEY", `input ${name}: the bundle has no key for releases`);

  const verified = await refuseWith("IMPORT", `input ${name}`, () => verifyImport(imported, pinned));
  if (verified.format !== source.format) {
    throw new RunnerError("IMPORT", `input ${name}: is ${verified.format}, not ${source.format}`);
  }
  const own = privateKey("X25519", fromBase64url(importSeed));
  const key = await refuseWith("INPUT_KEY", `input ${name}`, () =>
    openFrom(own, releaseContext(pinned.run, imported.release), wrappedFor(verified, imported.release, rawPublic(own))),
  );
  if (keyCommit(key) !== verified.keyCommit) throw new RunnerError("INPUT_KEY", `input ${name}: made with another key`);
  return {
    receipt: {
      input: name,
      imported: imported.input,
      shard: 0,
      digest: pinned.object.digest,
      format: source.format,
    },
    url: place.url,
    size: pinned.object.size,
    key,
    associatedData: verified.associatedData,
    format: source.format,
    allowUnsafe: source.allowUnsafeFormat !== undefined,
    path: [name],
  };
}

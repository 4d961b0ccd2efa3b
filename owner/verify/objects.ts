/** Ciphertexts in the folder are the committed ones; those of releases must be there. */
import { parseEdgeName } from "../../protocol/names";
import { digestFile, objectFile } from "../run-folder/layout";
import type { VerifiedCommit } from "./commits";
import type { Folder } from "./folder";
import type { Findings } from "./report";
import type { VerifiedRun } from "./request";

const OBJECT = /^objects\/(.+)$/;

export async function checkObjects(
  folder: Folder,
  run: VerifiedRun,
  commits: readonly VerifiedCommit[],
  findings: Findings,
): Promise<{ checked: number; absent: number }> {
  const known = new Map<string, number>();
  for (const { commit: c } of commits) {
    for (const { digest, size } of [...Object.values(c.outputs), c.log]) known.set(digest, size);
  }
  for (const { digest, size } of Object.values(run.version.descriptor.datasets)) known.set(digest, size);
  for (const { object } of Object.values(run.request.imports)) known.set(object.digest, object.size);
  let checked = 0;
  for (const { file, parts } of folder.matching(OBJECT)) {
    const digest = parts[0] ?? "";
    const size = known.get(digest);
    if (size === undefined) {
      findings.add("OBJECT", file, "nothing of the run names this object");
      continue;
    }
    const found = await digestFile(folder.path(file));
    if (found.sha256 !== digest) findings.add("OBJECT", file, `has SHA-256 ${found.sha256}`);
    else if (found.size !== size) findings.add("OBJECT", file, `has ${found.size} bytes, the commit says ${size}`);
    else checked += 1;
  }
  for (const digest of releasedDigests(run, commits)) {
    if (!folder.has(objectFile(digest))) findings.add("OBJECT", objectFile(digest), "a released object is missing");
  }
  const absent = [...known.keys()].filter((digest) => !folder.has(objectFile(digest))).length;
  return { checked, absent };
}

function releasedDigests(run: VerifiedRun, commits: readonly VerifiedCommit[]): string[] {
  const edges = Object.values(run.version.descriptor.releases).map(({ from }) => parseEdgeName(from));
  return edges.flatMap(({ step, output }) =>
    commits.flatMap(({ commit: c }) => {
      const object = c.step === step ? c.outputs[output] : undefined;
      return object ? [object.digest] : [];
    }),
  );
}

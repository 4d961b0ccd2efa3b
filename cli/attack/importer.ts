/** A pipeline that reads what the neighbour releases, and the honest owner of it. */
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { pinImport } from "../../owner/import";
import type { PublicFacts } from "../../owner/keys";
import { signImportUpload } from "../../owner/run-request";
import { type Root, runKey } from "../../protocol/keys";
import type { Neighbour } from "../../untrusted/attacks";
import { deploySmall, LIMITS, type Site, uploadTo } from "./small-pipeline";

const MAIN = `const fs = require("node:fs");
JSON.parse(fs.readFileSync("/sealflow/in/report", "utf8"));
fs.writeFileSync("/sealflow/out/done", "true");`;

interface Importing {
  readonly root: Root;
  readonly stackUuid: string;
  readonly producer: PublicFacts;
  readonly ledgerKey: string;
}

export async function deployImporter(
  site: Site,
  { root, stackUuid, producer, ledgerKey }: Importing,
): Promise<Omit<Neighbour["importer"], "folderOf">> {
  const { pipelineUid, ownerPublicKey } = producer;
  const source = { input: "report", pipelineUid, ownerPublicKey, ledgerKey, release: "report" };
  const made = await deploySmall(site, {
    name: "importer",
    stackUuid,
    root,
    steps: [
      {
        name: "importer",
        main: MAIN,
        command: ["node", "/app/main.js"],
        env: {},
        inputs: { report: { imported: source, format: "json" } },
        outputs: { done: { format: "json" } },
        releases: [],
        limits: LIMITS,
      },
    ],
    releases: {},
    previous: null,
  });
  return {
    job: made.jobs.importer,
    async pin(folder) {
      const { pinned, file } = await pinImport(folder, source);
      const upload = {
        ledgerKey,
        pipelineUid: made.facts.pipelineUid,
        ownerPublicKey: made.facts.ownerPublicKey,
        object: pinned.object,
        now: new Date(),
        random: new Uint8Array(randomBytes(32)),
      };
      await uploadTo(site.services, await signImportUpload(upload, runKey(root)), readFileSync(file));
      return pinned;
    },
    openRun: (pinned) => made.openRun({ report: pinned }),
  };
}

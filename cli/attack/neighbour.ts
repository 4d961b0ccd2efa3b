/**
 * Another owner's pipeline on the same relying party. Its reader runs a hostile program, its owner helps attacks, and a
 * third pipeline reads what it releases.
 */
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import * as path from "node:path";
import { signRevocation } from "../../owner/descriptor";
import { fetchRun } from "../../owner/fetch";
import { publicFacts } from "../../owner/keys";
import type { StepPlan } from "../../owner/step";
import { verifyRunFolder } from "../../owner/verify";
import type { PipelineConnection } from "../../protocol/connection";
import { jwsDigest } from "../../protocol/jws";
import { ownerKey, ownerReleaseKey, type Root } from "../../protocol/keys";
import { adminTokens, KbsAdmin } from "../../relying-party/kbs-client";
import type { Neighbour } from "../../untrusted/attacks";
import { createNode } from "../../untrusted/node";
import { HOSTILE_PROGRAM } from "./hostile-program";
import { deployImporter } from "./importer";
import { ledgerOf } from "./owner";
import type { Services } from "./services";
import { type Design, deploySmall, LIMITS, type Site } from "./small-pipeline";

const WRITER = `require("node:fs").writeFileSync("/sealflow/out/out", JSON.stringify({ made: true }));`;
const step = (name: string, main: string, plan: Pick<StepPlan, "inputs" | "outputs" | "releases">) => ({
  name,
  main,
  command: ["node", "/app/main.js"],
  env: {},
  limits: LIMITS,
  ...plan,
});
const STEPS: Design["steps"] = [
  step("writer", WRITER, {
    inputs: { data: { dataset: "data", format: "json" } },
    outputs: { out: { format: "json" } },
    releases: [],
  }),
  step("reader", HOSTILE_PROGRAM, {
    inputs: { out: { from: "writer.out", format: "json" } },
    outputs: { report: { format: "json" } },
    releases: [{ output: "report", as: "report", recipients: ["importer"] }],
  }),
];

/** Deploys and runs it. The state of the services must be the deployed one. */
export async function deployNeighbour(
  home: string,
  services: Services,
  connection: PipelineConnection,
  route: (port: number) => number,
  cacheDir: string,
): Promise<Neighbour & { close(): void }> {
  const { client, download } = ledgerOf(services, connection);
  const { caPem, ledgerKey } = connection;
  const url = `https://127.0.0.1:${services.kbs.port}`;
  const kbs = new KbsAdmin({ url, caPem, token: adminTokens(services.adminKey) });
  const site: Site = { home, services, connection, kbs, client, cacheDir };
  const root: Root = { secret: new Uint8Array(randomBytes(32)), generation: 1 };
  const stackUuid = randomBytes(16).toString("hex");
  const importing = { root: { secret: new Uint8Array(randomBytes(32)), generation: 1 }, stackUuid };
  const design: Omit<Design, "previous"> = {
    name: "neighbour",
    stackUuid,
    root,
    steps: STEPS,
    data: "{}",
    releases: { report: { from: "reader.report", recipients: ["importer"] } },
    recipients: { importer: publicFacts(importing.root, stackUuid, "importer").recipientKey },
  };
  const first = await deploySmall(site, { ...design, previous: null });
  const keys = { ownerPublicKey: first.facts.ownerPublicKey, ledgerKey };
  const run = await first.openRun();
  const node = createNode({ home, connection, mode: "namespaces", route });
  for (const name of ["writer", "reader"]) {
    const end = await node.runJob(first.jobs[name], { runHint: run });
    if (end.exitCode !== 0) throw new Error(`neighbour: ${name} ended with ${end.exitCode} ${end.code ?? ""}`);
  }
  const recipient = { name: "owner", key: ownerReleaseKey(root) };
  const fetched = async (of: string) => {
    const dir = path.join(home, "neighbour", `run-${of}`);
    const exported = await client.runLog(of, await first.readToken());
    return { dir, ...(await fetchRun({ exported, dir, download, objects: "all", keys, recipient })) };
  };
  const { dir, released } = await fetched(run);
  const importer = await deployImporter(site, { ...importing, producer: first.facts, ledgerKey });

  return {
    descriptor: first.descriptor,
    token: first.token,
    jobs: first.jobs,
    folder: dir,
    report: JSON.parse(readFileSync(released.report as string, "utf8")) as Record<string, unknown>,
    openRun: () => first.openRun(),
    readToken: first.readToken,
    bundle: async (name) => first.bundles[name] as string,
    async nextVersion() {
      await first.again();
    },
    async rotate() {
      const previous = { token: first.token, sequence: first.descriptor.sequence };
      const next = await deploySmall(site, { ...design, root: { ...root, generation: 2 }, previous });
      return { jobs: next.jobs, openRun: () => next.openRun(), bundle: async (name) => next.bundles[name] as string };
    },
    async revoke() {
      const order = {
        ledgerKey,
        pipelineUid: first.facts.pipelineUid,
        descriptor: jwsDigest(first.token),
        reason: "attack",
        random: new Uint8Array(randomBytes(32)),
      };
      await client.revoke(await signRevocation(order, ownerKey(root)));
    },
    findings: async (place) => (await verifyRunFolder(place, keys)).problems.map(({ code }) => code),
    importer: { ...importer, folderOf: async (of) => (await fetched(of)).dir },
    close() {
      client.close();
      kbs.close();
    },
  };
}

/** A ledger that shows one log to who asks for its head, and answers everything else from another: the CLI's memory. */
import { cpSync, readFileSync } from "node:fs";
import * as path from "node:path";
import { writePrivateFile } from "../../owner/keys";
import { createLedger, type Ledger } from "../../relying-party/ledger";
import { serveHttps, type TestServer } from "../support/https";
import { call } from "./support/call";
import { makeProject, type TestProject } from "./support/project";

let project: TestProject;
/** The log that was shown first, and one that forks from it. */
let shown: Ledger;
let forked: Ledger;
let server: TestServer;
/** Which of the two answers. */
let answers: (pathname: string) => Ledger;
const open: string[] = [];
let finished: string;

const sealflow = (...args: string[]) => call(args, { cwd: project.dir, backend: project.backend });
const headsOfTheFirst = (pathname: string): Ledger => (pathname.startsWith("/v1/heads") ? shown : forked);

beforeAll(async () => {
  project = await makeProject();
  finished = (await sealflow("run", "--json")).json.run;
  for (let i = 0; i < 3; i++) {
    open.push((await call(["run", "--json"], { cwd: project.dir, backend: async () => "ended" })).json.run);
  }
  await project.stopServices();
  server = await serveHttps((request) => answers(new URL(request.url).pathname).handle(request));
  const { home } = project;
  const ledgerFrom = async (name: string): Promise<Ledger> => {
    const dir = path.join(project.dir, name);
    cpSync(path.join(home, "dev/ledger"), dir, { recursive: true });
    return createLedger({ dir, publicUrl: server.url, objectsDir: path.join(home, "dev/objects"), sweepMs: 0 });
  };
  shown = await ledgerFrom("shown");
  forked = await ledgerFrom("forked");
  const file = path.join(home, "pipelines/test/sums.json");
  const connection = JSON.parse(readFileSync(file, "utf8"));
  writePrivateFile(file, JSON.stringify({ ...connection, ledgerUrl: server.url, caPem: server.caPem }));
  answers = () => shown;
  expect((await sealflow("cancel", open[0] as string)).code).toBe(0);
}, 120_000);
afterAll(async () => {
  await shown?.close();
  await forked?.close();
  await server?.close();
  await project?.close();
});

/** Whether commands go on with a ledger that shows this log alone. */
async function believed(log: Ledger): Promise<boolean> {
  answers = () => log;
  const { code } = await sealflow("status");
  expect([0, 5]).toContain(code);
  return code === 0;
}

test("the head of an answer is not remembered for its signature alone", async () => {
  answers = headsOfTheFirst;
  for (const run of open.slice(1)) await sealflow("cancel", run);
  expect([await believed(shown), await believed(forked)]).toEqual([true, false]);
});

test("nor is the head of a run folder that contradicts the one seen before", async () => {
  answers = headsOfTheFirst;
  const fetched = await sealflow("fetch", finished);
  expect(fetched.code).toBe(2);
  expect(fetched.stdout).toContain("HEAD_PIN");
  expect([await believed(shown), await believed(forked)]).toEqual([true, false]);
});

/** Registering a version at a real ledger, and at one that shows another history than the owner's. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { jwsDigest } from "../../protocol/jws";
import type { RelyingParty } from "../../provider/relying-party";
import type { Context } from "../../provider/server/context";
import { registerVersion, type Version } from "../../provider/version/register";
import { createLedger, type Ledger } from "../../relying-party/ledger";
import { LedgerClient } from "../../relying-party/ledger-client";
import { DATASET, descriptorSteps, makeVersion, makeWorld } from "../owner/support/pipeline";
import { serveHttps, type TestServer } from "../support/https";

type Versions = { descriptors: Version[] };

const dir = mkdtempSync(join(tmpdir(), "sealflow-register-"));
const world = makeWorld("register");
let ledger: Ledger;
let server: TestServer;
let party: RelyingParty;
let ledgerKey: string;
/** What becomes of the ledger's list of versions on its way. */
let shown: (versions: Version[]) => Version[];

beforeAll(async () => {
  server = await serveHttps(async (request) => {
    const answer = await ledger.handle(request);
    if (request.method !== "GET" || !request.url.includes("/v1/pipelines/") || !answer.ok) return answer;
    const body = (await answer.json()) as Versions;
    return Response.json({ ...body, descriptors: shown(body.descriptors) });
  });
  ledger = await createLedger({ dir, publicUrl: server.url, sweepMs: 0 });
  ledgerKey = ledger.ledgerKey;
  const client = new LedgerClient({ url: server.url, caPem: server.caPem, ledgerKey });
  party = { connection: { ledgerKey }, ledger: client } as unknown as RelyingParty;
});
afterAll(async () => {
  party.ledger.close();
  await ledger.close();
  await server.close();
  rmSync(dir, { recursive: true });
});

const context = { now: () => new Date(), log: { status: () => {} } } as unknown as Context;
const register = (salt: string, old?: Version): Promise<Version> =>
  registerVersion(
    context,
    party,
    world,
    { steps: descriptorSteps(world, salt), datasets: { mails: DATASET } },
    old && { ...old, ledgerKey },
  );

test("a version follows the last, and the same content again is the same version", async () => {
  shown = (versions) => versions;
  const first = await register("one");
  const second = await register("two", first);
  expect([first.sequence, second.sequence]).toEqual([1, 2]);
  expect(await register("two", first)).toEqual(second);
});

test("a ledger that shows less than the stack registered, or something else, gets no signature", async () => {
  shown = (versions) => versions;
  const second = await register("two");
  shown = (versions) => versions.slice(0, 1);
  await expect(register("three", second)).rejects.toMatchObject({ code: "LEDGER_BEHIND" });
  const { token } = await makeVersion({ ...world, ledgerKey }, null, "fork");
  const forged = { digest: jwsDigest(token), token, sequence: 2, state: "closed" };
  shown = (versions) => [...versions.slice(0, 1), forged];
  await expect(register("three", second)).rejects.toMatchObject({ code: "LEDGER_BEHIND" });
  // Without anything to compare with, the last version still has to be what it is said to be.
  await expect(register("three")).rejects.toThrow(/version 2.*is version 1/);
});

test("nor does one whose last version another owner signed", async () => {
  const { token } = await makeVersion({ ...makeWorld("other"), ledgerKey }, null);
  shown = () => [{ digest: jwsDigest(token), token, sequence: 1, state: "closed" }];
  await expect(register("three")).rejects.toMatchObject({ code: "SIGNATURE" });
});

test("an entry with another key, or under another step's name, is not signed", async () => {
  shown = (versions) => versions;
  const steps = descriptorSteps(world, "entries");
  const [[first, entry], [second, other]] = Object.entries(steps) as [
    [string, (typeof steps)[string]],
    [string, (typeof steps)[string]],
  ];
  for (const forged of [
    { ...steps, [first]: { ...entry, publicKey: other.publicKey } },
    { ...steps, [first]: { ...entry, parameterKey: other.parameterKey } },
    { ...steps, [first]: { ...entry, identity: other.identity } },
    { ...steps, [first]: other, [second]: entry },
  ]) {
    await expect(
      registerVersion(context, party, world, { steps: forged, datasets: { mails: DATASET } }, undefined),
    ).rejects.toMatchObject({
      code: "INPUT",
      message: expect.stringContaining(first),
    });
  }
});

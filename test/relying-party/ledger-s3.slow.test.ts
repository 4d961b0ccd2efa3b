/** The ledger on a bucket of a real S3 server: transfer, resume, digests at commit, expiry, and a store that lies. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { base64url } from "../../protocol/bytes";
import { publicKey } from "../../protocol/crypto";
import { signJws, verifyJws } from "../../protocol/jws";
import { type ClaimGo, type ObjectParts, partsAnswer } from "../../protocol/messages";
import { createLedger, type Ledger } from "../../relying-party/ledger";
import { caller } from "../support/ledger-caller";
import { ciphertext, createWorld, type World } from "../support/ledger-world";
import { botocoreSignature, S3_ENV, type S3Server, s3Missing, startS3 } from "../support/s3-server";

const missing = s3Missing();
const suite = missing ? describe.skip : describe;
const MIB = 1024 * 1024;
const PART = 5 * MIB;

let s3: S3Server;
let dir: string;
let ledger: Ledger;
let call: ReturnType<typeof caller>;
let world: World;
let storeUrl: string;
let bucket: string;
let clock = Date.now();
let buckets = 0;
const before = { ...process.env };

const open = () =>
  createLedger({
    dir,
    publicUrl: "https://ledger.test",
    sweepMs: 0,
    now: () => clock,
    storeUrl,
    storeSettings: { partBytes: PART },
  });

beforeAll(async () => {
  if (missing) return;
  Object.assign(process.env, S3_ENV);
  s3 = await startS3();
});
afterAll(async () => {
  process.env = before;
  await s3?.stop();
});
beforeEach(async () => {
  if (missing) return;
  dir = mkdtempSync(join(tmpdir(), "ledger-s3-"));
  clock = Date.now();
  bucket = `bucket-${buckets++}`;
  storeUrl = await s3.bucket(bucket);
  ledger = await open();
  call = caller(ledger);
  world = await createWorld({
    ledgerKey: ledger.ledgerKey,
    steps: { only: { outputs: { data: "json" } } },
    now: () => Math.floor(clock / 1000),
  });
  await call.deploy(world);
});
afterEach(async () => {
  if (missing) return;
  await ledger.close();
  rmSync(dir, { recursive: true, force: true });
});

const claimed = async () => call.go(world, "only", await call.openRun(world));

/** What a guest asks before it sends an object in parts. */
async function places(go: ClaimGo, size: number, output = "data"): Promise<ObjectParts> {
  const content = {
    v: 1,
    pipelineUid: world.pipelineUid,
    run: go.run,
    step: "only",
    shard: go.shard,
    attempt: go.attempt,
    programId: world.content.steps.only?.programId,
    output,
    size,
    nonce: base64url(new Uint8Array(32)),
  };
  const token = await signJws("sealflow-parts+jwt", content, world.stepKey("only"));
  const { status, body } = await call.post("/v1/parts", token);
  if (status !== 200) throw new Error(`parts: ${status} ${JSON.stringify(body)}`);
  const { parts } = await verifyJws(
    "sealflow-parts-answer+jwt",
    body.token,
    publicKey("Ed25519", ledger.ledgerKey),
    partsAnswer,
  );
  return parts;
}

const send = async (parts: ObjectParts, bytes: Uint8Array, only = parts.urls.length) => {
  for (const [i, url] of parts.urls.slice(0, only).entries()) {
    const at = (parts.from + i) * parts.partSize;
    const answer = await fetch(url, { method: "PUT", body: Buffer.from(bytes.subarray(at, at + parts.partSize)) });
    expect(answer.status).toBe(200);
  }
};
const large = (size: number) => Buffer.alloc(size, ciphertext("large"));

suite(`a ledger on S3${missing ? ` (skipped: ${missing})` : ""}`, () => {
  it("small objects go by one signed PUT, are checked by digest at commit, and are read by a signed GET", async () => {
    const go = await claimed();
    const committed = await call.finish(world, "only", go, { log: ciphertext("log") });
    expect(committed.status).toBe("committed");
    const { body } = await call.get(`/v1/runs/${go.run}/log`, await world.readToken());
    const urls = Object.entries(body.objects as Record<string, string>);
    expect(urls).toHaveLength(2);
    for (const [digest, url] of urls) {
      const bytes = new Uint8Array(await (await fetch(url)).arrayBuffer());
      expect(Buffer.from(await crypto.subtle.digest("SHA-256", bytes)).toString("hex")).toBe(digest);
    }
  });

  it("signatures are those that botocore gives the same requests, with and without a session token", async () => {
    const go = await claimed();
    const url = go.uploads.data?.url as string;
    const of = (u: string) => new URL(u).searchParams.get("X-Amz-Signature");
    expect(botocoreSignature("PUT", url, S3_ENV.AWS_SECRET_ACCESS_KEY)).toBe(of(url));
    const part = (await places(go, 12 * MIB)).urls[1] as string;
    expect(botocoreSignature("PUT", part, S3_ENV.AWS_SECRET_ACCESS_KEY)).toBe(of(part));
    expect(url).not.toContain(S3_ENV.AWS_SECRET_ACCESS_KEY);
  });

  it("a large object goes on behind the parts that are there, also at another process of the ledger", async () => {
    const go = await claimed();
    const bytes = large(2 * PART + 100);
    const first = await places(go, bytes.length);
    expect(first).toMatchObject({ from: 0, partSize: PART });
    expect(first.urls).toHaveLength(3);
    await send(first, bytes, 2);
    const twin = await open();
    call = caller(twin);
    try {
      const second = await places(go, bytes.length);
      expect(second.from).toBe(2);
      expect(second.urls).toHaveLength(1);
      await send(second, bytes);
      const log = ciphertext("log");
      await call.put(go.log.url, log);
      const answer = await call.commit(await world.commit("only", go, { data: bytes }, { log }));
      expect(answer.status).toBe("committed");
    } finally {
      await twin.close();
    }
    expect(await s3.keys(bucket)).toContain(`objects/${go.uploads.data?.object}`);
  });

  it("a commit before all parts are there, or with other bytes, is refused with OBJECT_MISSING", async () => {
    const go = await claimed();
    const bytes = large(2 * PART);
    await send(await places(go, bytes.length), bytes, 1);
    const log = ciphertext("log");
    await call.put(go.log.url, log);
    const token = await world.commit("only", go, { data: bytes }, { log });
    expect(await call.commit(token)).toMatchObject({ status: "refused", refusal: "OBJECT_MISSING" });
    const changed = Buffer.from(bytes);
    changed[PART + 7] = (changed[PART + 7] as number) ^ 1;
    const rest = await places(go, bytes.length);
    expect(rest.from).toBe(1);
    await send(rest, changed);
    expect(await call.commit(token)).toMatchObject({ status: "refused", refusal: "OBJECT_MISSING" });
  });

  it("an object with another's bytes, shortened or missing is refused at commit", async () => {
    for (const change of [(b: Uint8Array) => b.subarray(1), (b: Uint8Array) => Uint8Array.from(b, (x) => x ^ 1)]) {
      const go = await claimed();
      const data = ciphertext("data");
      const log = ciphertext("log");
      await call.put(go.uploads.data?.url as string, change(data));
      await call.put(go.log.url, log);
      const answer = await call.commit(await world.commit("only", go, { data }, { log }));
      expect(answer).toMatchObject({ status: "refused", refusal: "OBJECT_MISSING" });
    }
  });

  it("a stranger's key, an ended attempt and an unknown output get no places", async () => {
    const go = await claimed();
    await expect(places(go, 100, "nothing")).rejects.toThrow("NOT_FOUND");
    await call.finish(world, "only", go, { log: ciphertext("log") });
    await expect(places(go, 100)).rejects.toThrow("RUN_CLOSED");
  });

  it("a dataset under whose name somebody put other bytes is asked for again", async () => {
    const bytes = ciphertext("dataset");
    const { body } = await call.post("/v1/objects", await world.upload(bytes));
    await call.put(
      body.url,
      bytes.map((b) => b ^ 1),
    );
    const again = await call.post("/v1/objects", await world.upload(bytes));
    expect(again.body.present).toBe(false);
    await call.put(again.body.url, bytes);
    expect((await call.post("/v1/objects", await world.upload(bytes))).body.present).toBe(true);
    expect((await call.post("/v1/objects", await world.upload(bytes, "delete"))).status).toBe(200);
    expect(await s3.keys(bucket)).toEqual([]);
  });

  it("objects of a run that has expired, and of a closed pipeline, are deleted; unfinished uploads too", async () => {
    const go = await claimed();
    await call.finish(world, "only", go, { log: ciphertext("log") });
    const other = await claimed();
    const bytes = large(2 * PART);
    await send(await places(other, bytes.length), bytes, 1);
    expect((await s3.keys(bucket)).length).toBe(2);
    await call.post(`/v1/pipelines/${world.pipelineUid}/revoke`, await world.revoke(null));
    await ledger.sweep();
    clock += 40 * 24 * 3600 * 1000;
    await ledger.sweep();
    expect(await s3.keys(bucket)).toEqual([]);
    const uploads = await (await fetch(`${s3.endpoint}/${bucket}?uploads`)).text();
    expect(uploads).not.toContain("<UploadId>");
  });

  it("a store that is away is BUSY, and neither the answer nor the log holds a credential", async () => {
    const lines: string[] = [];
    const away = await createLedger({
      dir: join(dir, "away"),
      publicUrl: "https://ledger.test",
      sweepMs: 0,
      storeUrl: "s3://nothing-there?endpoint=http://127.0.0.1:9",
      log: (line) => lines.push(line),
    });
    const answer = await caller(away).post("/v1/objects", await world.upload(ciphertext("x")));
    await away.close();
    expect(answer.code).toBe("BUSY");
    expect(JSON.stringify([answer, lines])).not.toContain(S3_ENV.AWS_SECRET_ACCESS_KEY);
  });

  it("a URL with mistakes names all of them", async () => {
    const bad = createLedger({
      dir: join(dir, "bad"),
      publicUrl: "https://ledger.test",
      storeUrl: "s3://u:p@X/..?endpoint=http://s3.example&colour=red",
    });
    await expect(bad).rejects.toThrow(/credentials.*unknown parameter "colour".*https URL/s);
  });
});

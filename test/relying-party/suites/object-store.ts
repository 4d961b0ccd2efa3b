/** What a ledger does with objects that lie at another server: asked of every kind of store alike. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { base64url } from "../../../protocol/bytes";
import { publicKey } from "../../../protocol/crypto";
import { signJws, verifyJws } from "../../../protocol/jws";
import { type ClaimGo, type ObjectParts, partsAnswer } from "../../../protocol/messages";
import { createLedger, type Ledger } from "../../../relying-party/ledger";
import { caller } from "../../support/ledger-caller";
import { ciphertext, createWorld, type World } from "../../support/ledger-world";

const MIB = 1024 * 1024;
const PART = 5 * MIB;

/** A server that is started. */
export interface StoreTarget {
  /** Environment with which a ledger gets its credentials. */
  readonly env: Readonly<Record<string, string>>;
  /** Makes a bucket or container. @returns the URL of a store in it. */
  make(name: string): Promise<string>;
  keys(name: string): Promise<string[]>;
  /** Names of uploads that were begun and are no objects. */
  unfinished(name: string): Promise<string[]>;
  stop(): Promise<void>;
}

/** For tests of one kind of store, beside those that all have. */
export interface StoreScene {
  readonly dir: string;
  readonly world: World;
  readonly bucket: string;
  readonly storeUrl: string;
  readonly call: ReturnType<typeof caller>;
  claimed(): Promise<ClaimGo>;
  places(go: ClaimGo, size: number, output?: string): Promise<ObjectParts>;
}

/** @param missing why there is no server. @param more further tests, with the scene of the running test. */
export function objectStoreSuite(
  name: string,
  missing: string | undefined,
  start: () => Promise<StoreTarget>,
  more: (scene: () => StoreScene) => void = () => undefined,
): void {
  const suite = missing ? describe.skip : describe;
  let target: StoreTarget;
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
    target = await start();
    Object.assign(process.env, target.env);
  }, 120_000);
  afterAll(async () => {
    process.env = before;
    await target?.stop();
  });
  beforeEach(async () => {
    if (missing) return;
    dir = mkdtempSync(join(tmpdir(), "ledger-store-"));
    clock = Date.now();
    bucket = `bucket-${buckets++}`;
    storeUrl = await target.make(bucket);
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
    await ledger?.close();
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
      expect([200, 201]).toContain(answer.status);
    }
  };
  const large = (size: number) => Buffer.alloc(size, ciphertext("large"));

  suite(`a ledger on ${name}${missing ? ` (skipped: ${missing})` : ""}`, () => {
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
      expect(await target.keys(bucket)).toContain(`objects/${go.uploads.data?.object}`);
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
      expect(await target.keys(bucket)).toEqual([]);
    });

    it("objects of a run that has expired, and of a closed pipeline, are deleted; unfinished uploads too", async () => {
      const go = await claimed();
      await call.finish(world, "only", go, { log: ciphertext("log") });
      const other = await claimed();
      const bytes = large(2 * PART);
      await send(await places(other, bytes.length), bytes, 1);
      expect((await target.keys(bucket)).length).toBe(2);
      await call.post(`/v1/pipelines/${world.pipelineUid}/revoke`, await world.revoke(null));
      await ledger.sweep();
      clock += 40 * 24 * 3600 * 1000;
      await ledger.sweep();
      expect(await target.keys(bucket)).toEqual([]);
      expect(await target.unfinished(bucket)).toEqual([]);
    });

    more(() => ({ dir, world, bucket, storeUrl, call, claimed, places }));
  });
}

import * as nodeFs from "node:fs";
import { type createWriteStream, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import { sha256hex } from "../../protocol/crypto";
import { createLedger, type Ledger } from "../../relying-party/ledger";
import { parseRange } from "../../relying-party/ledger/store/http";
import { caller } from "../support/ledger-caller";
import { ciphertext, createWorld, type World } from "../support/ledger-world";

let dir: string;
let ledger: Ledger;
let call: ReturnType<typeof caller>;
let world: World;
/** Where uploads' bytes go, small and large. */
let files: Pick<typeof nodeFs, "createWriteStream" | "writeFileSync"> = nodeFs;
let clock = 1_800_000_000_000;

const open = () =>
  createLedger({
    dir,
    publicUrl: "https://ledger.test",
    sweepMs: 0,
    now: () => clock,
    files: {
      createWriteStream: (...args) => files.createWriteStream(...args),
      writeFileSync: (...args) => files.writeFileSync(...args),
    },
  });

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), "store-"));
  files = nodeFs;
  clock = 1_800_000_000_000;
  ledger = await open();
  call = caller(ledger);
  world = await createWorld({
    ledgerKey: ledger.ledgerKey,
    steps: { only: { outputs: { data: "json" } } },
    now: () => clock / 1000,
  });
  await call.deploy(world);
});
afterEach(async () => {
  await ledger.close();
  rmSync(dir, { recursive: true, force: true });
});

const claimed = async () => {
  const go = await call.go(world, "only", await call.openRun(world));
  return { go, put: go.uploads.data?.url as string, object: go.uploads.data?.object as string };
};
const stored = async () => {
  const bytes = ciphertext("stored");
  const { body } = await call.post("/v1/objects", await world.upload(bytes));
  await call.put(body.url, bytes);
  return { bytes, object: body.object as string, put: body.url as string };
};
const temporary = () => readdirSync(join(dir, "objects/tmp"));
/** A read URL for a dataset, as a claim answer has it. */
async function readable() {
  const bytes = ciphertext("readable");
  const w = await createWorld({
    ledgerKey: ledger.ledgerKey,
    name: "reader",
    steps: { only: { inputs: { d: { dataset: "d" } } } },
    datasets: { d: bytes },
    now: () => clock / 1000,
  });
  await call.deploy(w);
  const go = await call.go(w, "only", await call.openRun(w));
  return { bytes, url: go.datasets.d?.url as string, world: w };
}
const get = async (url: string, headers: Record<string, string> = {}, method = "GET") => {
  const res = await ledger.handle(new Request(url, { headers, method }));
  return { res, bytes: new Uint8Array(await res.arrayBuffer()) };
};

describe("a URL of the object store", () => {
  it.each([
    ["another object", (u: URL) => (u.pathname = u.pathname.replace(/.$/, (c) => (c === "0" ? "1" : "0")))],
    ["a later expiry", (u: URL) => u.searchParams.set("exp", String(Number(u.searchParams.get("exp")) + 1))],
    ["another signature", (u: URL) => u.searchParams.set("sig", "A".repeat(43))],
    ["no signature", (u: URL) => u.searchParams.delete("sig")],
    ["an expiry that is no number", (u: URL) => u.searchParams.set("exp", "NaN")],
    ["another operation", (u: URL) => u.searchParams.set("op", "get")],
  ])("changed to %s is refused with FORBIDDEN, and nothing is stored", async (_what, change) => {
    const { put } = await claimed();
    const url = new URL(put);
    change(url);
    expect(await call.put(url.href, ciphertext())).toMatchObject({ status: 403, code: "FORBIDDEN" });
    expect(temporary()).toEqual([]);
  });

  it("for writing does not read, and the other way round", async () => {
    const { put } = await stored();
    expect(await call.send(put)).toMatchObject({ status: 403, code: "FORBIDDEN" });
    const { url } = await readable();
    expect(await call.put(url, ciphertext())).toMatchObject({ status: 403, code: "FORBIDDEN" });
  });

  it("that has expired is refused with FORBIDDEN", async () => {
    const { put } = await claimed();
    clock += 10 * 24 * 3600 * 1000;
    expect(await call.put(put, ciphertext())).toMatchObject({ status: 403, code: "FORBIDDEN" });
  });

  it.each(["../ledger.db", "tmp/x", "runs/x", `runs/${"0".repeat(64)}/..%2f..`])(
    "named %s leads nowhere",
    async (name) => {
      expect((await call.send(`/objects/${name}?exp=1&op=get&sig=x`)).status).toBeGreaterThanOrEqual(400);
    },
  );
});

describe("an upload", () => {
  it("repeated with the same bytes is fine, with others refused with OBJECT_CONFLICT", async () => {
    const { put, object } = await claimed();
    const bytes = ciphertext();
    expect(await call.put(put, bytes)).toMatchObject({ status: 201, body: { digest: sha256hex(bytes) } });
    expect(await call.put(put, bytes)).toMatchObject({ status: 200 });
    expect(await call.put(put, ciphertext())).toMatchObject({ status: 409, code: "OBJECT_CONFLICT" });
    expect(sha256hex(readFileSync(join(dir, "objects", object)))).toBe(sha256hex(bytes));
    expect(temporary()).toEqual([]);
  });

  it("twice at once with different bytes stores exactly one of them", async () => {
    const { put, object } = await claimed();
    const both = [ciphertext("a"), ciphertext("b")] as const;
    const answers = await Promise.all(both.map((bytes) => call.put(put, bytes)));
    expect(answers.map((a) => a.status).sort()).toEqual([201, 409]);
    const winner = both[answers.findIndex((a) => a.status === 201)] as Uint8Array;
    expect(sha256hex(readFileSync(join(dir, "objects", object)))).toBe(sha256hex(winner));
  });

  it("of a dataset whose bytes have another digest is refused with SHAPE", async () => {
    const { body } = await call.post("/v1/objects", await world.upload(ciphertext()));
    expect(await call.put(body.url, ciphertext())).toMatchObject({ status: 400, code: "SHAPE" });
  });

  it.each([
    ["small", ciphertext()],
    ["large", new Uint8Array(200_000)],
  ])("on a full disk is refused with STORE_FULL and leaves nothing: %s", async (_size, bytes) => {
    const { put, object } = await claimed();
    const noSpace = () => Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
    files = {
      createWriteStream: (() =>
        new Writable({ write: (_chunk, _encoding, done) => done(noSpace()) })) as unknown as typeof createWriteStream,
      writeFileSync: () => {
        throw noSpace();
      },
    };
    const { status, code, body } = await call.put(put, bytes);
    expect([status, code]).toEqual([507, "STORE_FULL"]);
    expect(body.error.message).toContain("disk is full");
    expect(temporary()).toEqual([]);
    files = nodeFs;
    expect((await call.put(put, bytes)).status).toBe(201);
    expect(readdirSync(join(dir, "objects", object, ".."))).toHaveLength(1);
  });

  it.each([10, 200_000])("that breaks off after %d bytes leaves nothing and can be repeated", async (length) => {
    const { put } = await claimed();
    const broken = new ReadableStream({
      start: (c) => c.enqueue(new Uint8Array(length)),
      pull: (c) => c.error(new Error("cut")),
    });
    const init = { method: "PUT", body: broken, duplex: "half" } as RequestInit;
    const res = await ledger.handle(new Request(put, init));
    expect(await res.json()).toMatchObject({ error: { code: "INTERRUPTED" } });
    expect(temporary()).toEqual([]);
    expect((await call.put(put, ciphertext())).status).toBe(201);
  });

  it("whose record was lost in a crash is measured again", async () => {
    const { go, object } = await claimed();
    const bytes = ciphertext();
    await call.put(go.uploads.data?.url as string, bytes);
    await call.put(go.log.url, new Uint8Array(0));
    // As if the process had died between the link and the row: a file that no row describes.
    const other = ciphertext("longer than before, so that its row does not fit");
    rmSync(join(dir, "objects", object));
    writeFileSync(join(dir, "objects", object), other);
    expect(await call.commit(await world.commit("only", go, { data: bytes }))).toMatchObject({
      refusal: "OBJECT_MISSING",
    });
    expect(await call.commit(await world.commit("only", go, { data: other }))).toMatchObject({ status: "committed" });
  });
});

describe("a download", () => {
  it("is whole, or the range that was asked for", async () => {
    const { url, bytes } = await readable();
    const whole = await get(url);
    expect(whole.res.status).toBe(200);
    expect(whole.bytes).toEqual(bytes);
    for (const [range, from, to] of [
      ["bytes=0-9", 0, 10],
      ["bytes=5-", 5, bytes.length],
      ["bytes=-7", bytes.length - 7, bytes.length],
      ["bytes=3-100000", 3, bytes.length],
    ] as const) {
      const part = await get(url, { range });
      expect(part.res.status).toBe(206);
      expect(part.res.headers.get("content-range")).toBe(`bytes ${from}-${to - 1}/${bytes.length}`);
      expect(part.bytes).toEqual(bytes.slice(from, to));
    }
    const beyond = await get(url, { range: "bytes=100000-" });
    expect(beyond.res.status).toBe(416);
  });

  it("of HEAD has the size and no body", async () => {
    const { url, bytes } = await readable();
    const { res, bytes: body } = await get(url, {}, "HEAD");
    expect([res.status, res.headers.get("content-length"), body.length]).toEqual([200, String(bytes.length), 0]);
  });

  it.each([
    [null, undefined],
    ["bytes=-", undefined],
    ["lines=0-1", undefined],
    ["bytes=0-1,3-4", undefined],
    ["bytes=0-0", { start: 0, end: 0 }],
  ])("range %s of ten bytes is %j", (header, wanted) => expect(parseRange(header, 10)).toEqual(wanted));
});

describe("a dataset", () => {
  it("is deleted by an owner that uploaded it, while no open version reads it", async () => {
    const { bytes, world: reader } = await readable();
    expect((await call.post("/v1/objects", await world.upload(bytes, "delete"))).code).toBe("FORBIDDEN");
    expect((await call.post("/v1/objects", await reader.upload(bytes, "delete"))).code).toBe("OBJECT_IN_USE");
    await call.post(`/v1/pipelines/${reader.pipelineUid}/revoke`, await reader.revoke(null));
    expect((await call.post("/v1/objects", await reader.upload(bytes, "delete"))).status).toBe(200);
    expect((await call.post("/v1/objects", await reader.upload(bytes, "delete"))).status).toBe(200);
    expect(readdirSync(join(dir, "objects/datasets"))).toEqual([]);
  });

  it("that two owners uploaded stays until both have deleted it", async () => {
    const { bytes } = await stored();
    const other = await createWorld({ ledgerKey: ledger.ledgerKey, steps: { a: {} }, now: () => clock / 1000 });
    expect((await call.post("/v1/objects", await other.upload(bytes))).body).toMatchObject({ present: true });
    await call.post("/v1/objects", await world.upload(bytes, "delete"));
    expect(readdirSync(join(dir, "objects/datasets"))).toHaveLength(1);
    await call.post("/v1/objects", await other.upload(bytes, "delete"));
    expect(readdirSync(join(dir, "objects/datasets"))).toHaveLength(0);
  });
});

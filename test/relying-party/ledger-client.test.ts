/** The client against the real ledger over HTTPS, and against a server that lies. */
import dns from "node:dns";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { type ServerIdentity, serverIdentity } from "../../relying-party/dev/certificates";
import { type Listener, listen } from "../../relying-party/dev/serve";
import { createLedger, type Ledger } from "../../relying-party/ledger";
import { LedgerClient, type LedgerEvent } from "../../relying-party/ledger-client";
import { readEvents } from "../../relying-party/ledger-client/sse";
import { caller } from "../support/ledger-caller";
import { ciphertext, createWorld, type World } from "../support/ledger-world";

type Done = (error: null, addresses: object[]) => void;
type Handle = (req: Request) => Promise<Response>;

let dir: string;
let identity: ServerIdentity;
let listener: Listener;
let ledger: Ledger;
let client: LedgerClient;
let world: World;
let call: ReturnType<typeof caller>;
/** What stands between client and ledger. */
let between: (req: Request, honest: Handle) => Promise<Response>;
const pass: typeof between = (req, honest) => honest(req);

/** Changes the JSON of the honest answer. */
const lying =
  // biome-ignore lint/suspicious/noExplicitAny: a liar may change anything
    (change: (body: any) => unknown): typeof between =>
    async (req, honest) => {
      const res = await honest(req);
      return Response.json(change(await res.json()), { status: res.status });
    };

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "client-"));
  identity = await serverIdentity(join(dir, "tls"));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

beforeEach(async () => {
  between = pass;
  let honest: Handle = async () => new Response(null, { status: 503 });
  listener = await listen("ledger", 0, identity, (req) => between(req, honest));
  const url = `https://127.0.0.1:${listener.port}`;
  ledger = await createLedger({ dir: mkdtempSync(join(dir, "l-")), publicUrl: url, sweepMs: 0 });
  honest = ledger.handle;
  client = new LedgerClient({ url, caPem: identity.caPem, ledgerKey: ledger.ledgerKey, timeoutMs: 5000 });
  call = caller(ledger);
  world = await createWorld({ ledgerKey: ledger.ledgerKey, steps: { only: { outputs: { data: "json" } } } });
  await client.registerDescriptor(world.descriptor);
});
afterEach(async () => {
  client.close();
  await listener.close();
  await ledger.close();
});

const opened = async () => (await client.openRun((await world.runRequest()).token)).run;

describe("URLs of objects that a hostile ledger names", () => {
  const far = new LedgerClient({
    url: "https://ledger.example:8443",
    caPem: "",
    ledgerKey: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
  });
  afterAll(() => far.close());

  test.each([
    ["of this machine", () => `https://127.0.0.1:${listener.port}/x`, /loopback/],
    ["of this machine, plain", () => "http://localhost:1/x", /loopback/],
    ["of the cloud's metadata", () => "https://169.254.169.254/latest/meta-data/", /link-local/],
    ["without TLS", () => "http://store.example/x", /not https/],
    ["that are none", () => "https://[", /is none/],
  ])("%s are not asked", async (_what, url, problem) => {
    let asked = 0;
    between = async (req, honest) => {
      asked++;
      return honest(req);
    };
    await expect(far.object(url())).rejects.toThrow(problem);
    await expect(far.object(url())).rejects.toMatchObject({ code: "URL" });
    expect(asked).toBe(0);
  });

  test("by a name that stands for this machine are not asked, either, and an upload is not tried again", async () => {
    const seen = jest
      .spyOn(dns, "lookup")
      .mockImplementation(((_name: string, _options: object, done: Done) =>
        done(null, [{ address: "127.0.0.1", family: 4 }])) as never);
    await expect(far.object(`https://store.example:${listener.port}/x`)).rejects.toMatchObject({ code: "URL" });
    seen.mockRestore();
    between = lying((body) => ({ ...body, present: false, url: "https://169.254.169.254/x", parts: undefined }));
    const bytes = ciphertext("data");
    let tries = 0;
    const upload = client.upload(await world.upload(bytes), () => {
      tries++;
      return bytes;
    });
    await expect(upload).rejects.toMatchObject({ code: "URL" });
    expect(tries).toBe(1);
  });
});

test("opens, claims, commits, reads, exports, cancels and closes over HTTPS", async () => {
  const run = await opened();
  const guest = await world.claim("only", run);
  const { go } = await client.claim(guest.token);
  if (!go) throw new Error("refused");
  const outputs = await call.upload(go);
  expect(await client.commit(await world.commit("only", go, outputs))).toMatchObject({ status: "committed" });
  expect(await client.run(run, await world.readToken())).toMatchObject({ state: "succeeded" });
  expect(await client.runs(world.pipelineUid, world.readToken)).toHaveLength(1);
  const log = await client.runLog(run, await world.readToken());
  expect(log.commits).toHaveLength(1);
  const [url] = Object.values(log.objects);
  const part = await client.object(url as string, { start: 2, end: 5 });
  expect(Buffer.concat(await part.toArray())).toHaveLength(4);
  expect((await client.pipeline(world.pipelineUid, world.readToken)).descriptors).toMatchObject([{ state: "open" }]);
  const other = await opened();
  expect(await client.cancel(other, await world.cancel(other))).toMatchObject({ state: "cancelled" });
  await client.revoke(await world.revoke(null));
  await expect(client.openRun((await world.runRequest()).token)).rejects.toMatchObject({
    code: "PIPELINE_CLOSED",
    status: 409,
  });
});

describe("a ledger that lies", () => {
  let stranger: Ledger;
  beforeEach(async () => {
    stranger = await createLedger({ dir: mkdtempSync(join(dir, "s-")), publicUrl: "https://x.test", sweepMs: 0 });
  });
  afterEach(() => stranger.close());

  it("with another key is refused with SIGNATURE", async () => {
    between = (req) => stranger.handle(req);
    await expect(client.head()).rejects.toMatchObject({ code: "SIGNATURE" });
    await expect(client.claim((await world.claim("only")).token)).rejects.toMatchObject({ code: "SIGNATURE" });
  });

  it("with an answer to another claim is refused with CLAIM_MISMATCH", async () => {
    const other = await call.post("/v1/claims", (await world.claim("only")).token);
    between = lying(() => other.body);
    await expect(client.claim((await world.claim("only")).token)).rejects.toMatchObject({ code: "CLAIM_MISMATCH" });
  });

  it("with another run or version than was sent is refused with CLAIM_MISMATCH", async () => {
    between = lying((body) => ({ ...body, run: "0".repeat(64) }));
    await expect(opened()).rejects.toMatchObject({ code: "CLAIM_MISMATCH" });
    between = lying((body) => ({ ...body, descriptor: "0".repeat(64) }));
    await expect(client.registerDescriptor(world.descriptor)).rejects.toMatchObject({ code: "CLAIM_MISMATCH" });
    between = lying((body) => ({
      ...body,
      descriptors: [{ ...body.descriptors[0], digest: "0".repeat(64) }],
    }));
    await expect(client.pipeline(world.pipelineUid, world.readToken)).rejects.toMatchObject({ code: "CLAIM_MISMATCH" });
  });

  it("that forgot entries, or shows another history, is refused", async () => {
    const small = await client.head();
    await opened();
    const large = await client.head(small.token);
    between = async (req, honest) =>
      honest(req.url.includes("old=") ? new Request(`${new URL(req.url).origin}/v1/heads`) : req);
    await expect(client.head(small.token)).rejects.toMatchObject({ code: "LOG_PROOF" });
    between = lying(() => ({ head: small.token, consistency: [] }));
    await expect(client.head(large.token)).rejects.toMatchObject({ code: "LOG_PROOF" });
  });

  it.each([
    [
      "a changed entry",
      (e: { entry?: string }[]) => e.map((x) => ({ ...x, entry: x.entry?.replace('"at":1', '"at":2') })),
    ],
    ["a missing entry", (e: unknown[]) => e.slice(1)],
    ["exchanged entries", (e: unknown[]) => [...e].reverse()],
  ])("with %s in an export is refused with LOG_PROOF", async (_what, change) => {
    const run = await opened();
    between = lying((body) => ({ ...body, entries: change(body.entries) }));
    await expect(client.runLog(run, world.readToken)).rejects.toMatchObject({ code: "LOG_PROOF" });
  });

  it("with more fields than the shape has is refused with SHAPE", async () => {
    between = lying((body) => ({ ...body, extra: 1 }));
    await expect(client.head()).rejects.toMatchObject({ code: "SHAPE" });
  });

  it("that is no ledger at all is told so", async () => {
    between = async () => new Response("<html>", { status: 404, headers: { "content-type": "text/html" } });
    await expect(client.head()).rejects.toMatchObject({ code: "BODY" });
    between = async () => Response.json({ hello: 1 }, { status: 404 });
    await expect(client.head()).rejects.toMatchObject({ code: "ANSWER", status: 404 });
  });
});

describe("a network that fails", () => {
  it("loses an answer: the same bytes again find the same run", async () => {
    let calls = 0;
    between = async (req, honest) => {
      const res = await honest(req);
      return calls++ === 0 ? new Response("{}", { status: 502 }) : res;
    };
    await opened();
    between = pass;
    expect(await client.runs(world.pipelineUid, world.readToken)).toHaveLength(1);
  });

  it("breaks an upload off: it is repeated from its beginning", async () => {
    const bytes = ciphertext("dataset");
    let broken = 0;
    const content = () =>
      broken++ > 0
        ? Readable.from([bytes])
        : new Readable({
            read() {
              this.push(bytes.slice(0, 10));
              this.destroy(Object.assign(new Error("cut"), { code: "EPIPE" }));
            },
          });
    expect(await client.upload(await world.upload(bytes), content)).toMatchObject({ present: false });
    expect(broken).toBe(2);
    expect(await client.upload(await world.upload(bytes), content)).toMatchObject({ present: true });
    await client.deleteObject(await world.upload(bytes, "delete"));
  });

  it("is told with UNREACHABLE when nobody is there", async () => {
    const nobody = new LedgerClient({ url: "https://127.0.0.1:9", caPem: identity.caPem, ledgerKey: ledger.ledgerKey });
    await expect(nobody.head()).rejects.toMatchObject({ code: "UNREACHABLE" });
    nobody.close();
  });

  it("cuts the events: they go on after the last one, none twice", async () => {
    const seen: LedgerEvent[] = [];
    const stop = new AbortController();
    const cuts = new AbortController();
    between = async (req, honest) => {
      if (!req.url.includes("/v1/events") || cuts.signal.aborted) return honest(req);
      const res = await honest(req);
      const reader = (res.body as ReadableStream<Uint8Array>).getReader();
      cuts.signal.addEventListener("abort", () => reader.cancel());
      const body = new ReadableStream<Uint8Array>({
        async pull(to) {
          const { done, value } = await reader.read();
          if (done) to.close();
          else to.enqueue(value);
        },
      });
      return new Response(body, res);
    };
    const listening = client.events(world.pipelineUid, world.readToken, (e) => seen.push(e), stop.signal, -1);
    const until = async (n: number) => {
      for (let i = 0; seen.length < n && i < 200; i++) await sleep(25);
    };
    await until(1);
    const first = await opened();
    await until(2);
    cuts.abort();
    const second = await opened();
    await until(3);
    stop.abort();
    await listening;
    expect(seen.map((e) => [e.kind, e.run])).toEqual([
      ["descriptor", null],
      ["run", first],
      ["run", second],
    ]);
  });

  it("ends the events before one was seen, as with a token that is over: what came in between is not missed", async () => {
    let asked = 0;
    const tokens: (string | null)[] = [];
    between = async (req, honest) => {
      if (!req.url.includes("/v1/events")) return honest(req);
      tokens.push(req.headers.get("authorization"));
      if (asked++ > 0) return honest(req);
      const reader = ((await honest(req)).body as ReadableStream<Uint8Array>).getReader();
      const { value } = await reader.read();
      await reader.cancel();
      return new Response(value as Uint8Array<ArrayBuffer>);
    };
    const seen: LedgerEvent[] = [];
    const stop = new AbortController();
    const read = () => world.readToken({ nonce: "A".repeat(42) + String(asked) });
    const listening = client.events(world.pipelineUid, read, (e) => seen.push(e), stop.signal);
    for (let i = 0; asked < 1 && i < 200; i++) await sleep(25);
    const run = await opened();
    for (let i = 0; seen.length < 1 && i < 200; i++) await sleep(25);
    stop.abort();
    await listening;
    expect(seen.map((e) => [e.kind, e.run])).toEqual([["run", run]]);
    expect(new Set(tokens).size).toBe(tokens.length);
  });

  it("does not hide that the caller may not read", async () => {
    const stranger = await createWorld({ ledgerKey: ledger.ledgerKey, steps: { a: {} } });
    const read = () => stranger.readToken({ pipelineUid: world.pipelineUid });
    const events = client.events(world.pipelineUid, read, () => {}, new AbortController().signal);
    await expect(events).rejects.toMatchObject({ code: "FORBIDDEN", status: 403 });
  });
});

it.each(["data: x\n", "data: x"])("an event that never ends is given up: %j", async (piece) => {
  let sent = 0;
  const endless = Readable.from(
    (function* () {
      for (; sent < 1 << 24; sent += 1024) yield Buffer.from(piece.repeat(1024 / piece.length));
    })(),
  );
  await expect(readEvents(endless).next()).rejects.toThrow(/too long/);
  expect(sent).toBeLessThan(1 << 20);
});

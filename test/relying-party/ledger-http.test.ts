/** The ledger behind Node's server, as it runs: bodies come from Node's own messages there. */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { Agent, createServer, type RequestOptions, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createAdaptorServer } from "@hono/node-server";
import { sha256hex } from "../../protocol/crypto";
import { createLedger, type Ledger } from "../../relying-party/ledger";
import { caller } from "../support/ledger-caller";
import { createWorld } from "../support/ledger-world";

let dir: string;
let ledger: Ledger;
let server: Server;
const agent = new Agent({ keepAlive: true, maxSockets: 1 });
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "ledger-http-"));
  ledger = await createLedger({ dir, publicUrl: "http://127.0.0.1", sweepMs: 0 });
  server = createAdaptorServer({ fetch: ledger.handle, createServer, overrideGlobalObjects: false }) as Server;
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});
afterAll(async () => {
  agent.destroy();
  await new Promise((resolve) => server.close(resolve));
  await ledger.close();
  rmSync(dir, { recursive: true, force: true });
});

interface Answer {
  readonly status: number;
  readonly body: { error?: { code: string }; digest?: string };
}

/** @param chunks sent one after the other; without `content-length` unless it is among the headers. */
const send = (
  method: string,
  path: string,
  chunks: readonly Uint8Array[],
  headers: RequestOptions["headers"] = {},
): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const { port } = server.address() as AddressInfo;
    const sent = request({ port, host: "127.0.0.1", method, path, agent, headers }, (res) => {
      let text = "";
      res.setEncoding("utf8").on("data", (chunk) => {
        text += chunk;
      });
      res.on("end", () => resolve({ status: res.statusCode ?? 0, body: JSON.parse(text) }));
    });
    sent.on("error", reject);
    for (const chunk of chunks) sent.write(chunk);
    sent.end();
  });
const json = { "content-type": "application/json" };
const refusal = async (answer: Promise<Answer>) => {
  const { status, body } = await answer;
  return [status, body.error?.code];
};

describe("a request whose body", () => {
  it("is no JSON by its type, or by its bytes, is refused", async () => {
    const bytes = [Buffer.from('{"token":'), Buffer.from('"a.b.c"}')];
    expect(await refusal(send("POST", "/v1/claims", bytes))).toEqual([415, "MEDIA_TYPE"]);
    expect(await refusal(send("POST", "/v1/claims", bytes, { "content-type": "text/plain" }))).toEqual([
      415,
      "MEDIA_TYPE",
    ]);
    expect(await refusal(send("POST", "/v1/claims", [Buffer.from([0xff])], json))).toEqual([400, "SHAPE"]);
    expect(await refusal(send("POST", "/v1/claims", [], json))).toEqual([400, "SHAPE"]);
    // In two pieces it is read whole: what is wrong with it is what it says.
    expect(await refusal(send("POST", "/v1/claims", bytes, json))).toEqual([400, "SHAPE"]);
  });

  it("is too large is refused, whether it says so or not, and the next one is answered", async () => {
    const chunks = Array.from({ length: 9 }, () => Buffer.alloc(1024 * 1024, 0x20));
    const said = { ...json, "content-length": 9 * 1024 * 1024 };
    expect(await refusal(send("POST", "/v1/claims", chunks, json))).toEqual([413, "TOO_LARGE"]);
    expect(await refusal(send("POST", "/v1/claims", chunks, said))).toEqual([413, "TOO_LARGE"]);
    expect(await refusal(send("POST", "/v1/claims", [Buffer.from("{}")], json))).toEqual([400, "SHAPE"]);
  });
});

describe("an upload", () => {
  const put = async (): Promise<string> => {
    const world = await createWorld({ ledgerKey: ledger.ledgerKey, steps: { only: { outputs: { data: "json" } } } });
    const call = caller(ledger);
    await call.deploy(world);
    const { pathname, search } = new URL(
      (await call.go(world, "only", await call.openRun(world))).uploads.data?.url ?? "",
    );
    return pathname + search;
  };

  it.each([0, 1, 65_536, 65_537, 1_000_000])("of %d bytes in many pieces is stored, once", async (length) => {
    const path = await put();
    const bytes = Buffer.alloc(length, "sealflow");
    const chunks = Array.from({ length: Math.ceil(length / 1000) }, (_, i) =>
      bytes.subarray(i * 1000, i * 1000 + 1000),
    );
    expect(await send("PUT", path, chunks)).toMatchObject({ status: 201, body: { digest: sha256hex(bytes) } });
    expect(await send("PUT", path, chunks)).toMatchObject({ status: 200 });
    expect(await refusal(send("PUT", path, [...chunks, Buffer.from("x")]))).toEqual([409, "OBJECT_CONFLICT"]);
    expect(readdirSync(join(dir, "objects/tmp"))).toEqual([]);
  });

  it("is answered in JSON, and counted by its status", async () => {
    const { port } = server.address() as AddressInfo;
    const path = await put();
    const counted = async (status: number) => {
      const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
      const line = new RegExp(`_requests_total\\{method="PUT",route="/objects/\\*",status="${status}"\\} (\\d+)`);
      return Number(line.exec(text)?.[1] ?? 0);
    };
    const before = [await counted(200), await counted(201)] as const;
    for (const status of [201, 200]) {
      const answer = await fetch(`http://127.0.0.1:${port}${path}`, { method: "PUT", body: "bytes" });
      expect([answer.status, answer.headers.get("content-type")]).toEqual([status, "application/json"]);
      expect(await answer.json()).toEqual({ digest: sha256hex("bytes"), size: 5 });
    }
    expect([await counted(200), await counted(201)]).toEqual([before[0] + 1, before[1] + 1]);
  });

  it.each([10, 200_000])("that breaks off after %d bytes leaves nothing", async (length) => {
    const path = await put();
    await new Promise<void>((resolve) => {
      const { port } = server.address() as AddressInfo;
      const headers = { "content-length": length + 1 };
      const sent = request({ port, host: "127.0.0.1", method: "PUT", path, headers });
      sent.on("error", () => resolve());
      sent.write(Buffer.alloc(length), () => setTimeout(() => sent.destroy(new Error("cut")), 50));
    });
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(readdirSync(join(dir, "objects/tmp"))).toEqual([]);
    expect(await send("PUT", path, [Buffer.from("whole")])).toMatchObject({ status: 201 });
  });
});

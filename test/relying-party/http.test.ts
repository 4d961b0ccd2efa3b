import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { borrowAgent } from "../../relying-party/http/agents";
import { HttpError, HttpsClient } from "../../relying-party/http/client";
import { readRoutes } from "../../relying-party/http/routes";
import { serveHttps, type TestServer } from "../support/https";

let server: TestServer;
let asked: string[] = [];
let failures = 0;

beforeAll(async () => {
  server = await serveHttps(async (request) => {
    const { pathname } = new URL(request.url);
    asked.push(`${request.method} ${pathname}`);
    if (pathname.endsWith("/flaky") && failures-- > 0) return new Response("busy", { status: 503 });
    if (pathname === "/slow") await new Promise((resolve) => setTimeout(resolve, 400));
    if (pathname === "/big") return new Response("x".repeat(2000));
    if (pathname === "/echo") return new Response(await request.text(), { status: 201 });
    if (pathname === "/text") return new Response("not json");
    return Response.json({ path: pathname });
  });
});
afterAll(() => server.close());
beforeEach(() => {
  asked = [];
});

const client = (options: object = {}) =>
  new HttpsClient({ url: server.url, caPem: server.caPem, timeoutMs: 2000, ...options });

describe("an HTTPS client with a pinned CA", () => {
  it("sends and reads JSON below the base path", async () => {
    const http = new HttpsClient({ url: `${server.url}/base/`, caPem: server.caPem });
    expect(await http.json("GET", "/a?b=1")).toMatchObject({ status: 200, body: { path: "/base/a" } });
    http.close();
  });

  it("keeps a shared connection for the next client of the same origin, way and CA, and for no other", async () => {
    const agentOf = (http: HttpsClient) => {
      const { agent, back } = borrowAgent(new URL(server.url).origin, undefined, server.caPem);
      back();
      http.close();
      return agent;
    };
    const connections = (agent: ReturnType<typeof agentOf>) => Object.values(agent.freeSockets).flat().length;
    const first = client({ share: true });
    expect((await first.json("GET", "/a")).status).toBe(200);
    const agent = agentOf(first);
    expect(connections(agent)).toBe(1);
    const second = client({ share: true });
    expect((await second.json("GET", "/b")).status).toBe(200);
    expect(agentOf(second)).toBe(agent);
    expect(connections(agent)).toBe(1);
    const { origin, host } = new URL(server.url);
    for (const [name, route, ca] of [
      ["https://localhost", undefined, server.caPem],
      [origin, host, server.caPem],
      [origin, undefined, `${server.caPem}\n`],
    ] as const) {
      const other = borrowAgent(name, route, ca);
      expect(other.agent).not.toBe(agent);
      other.back();
    }
  });

  it("repeats calls that may be repeated, and no others", async () => {
    const http = client();
    failures = 2;
    expect((await http.json("GET", "/flaky")).status).toBe(200);
    expect(asked).toHaveLength(3);
    failures = 1;
    expect((await http.call("POST", "/flaky")).status).toBe(503);
    expect(asked).toHaveLength(4);
    http.close();
  });

  it.each([
    ["TIMEOUT", "/slow", { timeoutMs: 100, retries: 0 }],
    ["TOO_LARGE", "/big", { maxAnswerBytes: 1000 }],
    ["BODY", "/text", {}],
  ])("ends with %s", async (code, path, options) => {
    const http = client(options);
    await expect(http.json("GET", path)).rejects.toMatchObject({ code });
    http.close();
  });

  it("believes no other CA, and no http", async () => {
    const other = await serveHttps(async () => new Response());
    const http = new HttpsClient({ url: other.url, caPem: server.caPem, retries: 0 });
    await expect(http.call("GET", "/")).rejects.toMatchObject({ code: "TLS" });
    http.close();
    await other.close();
    expect(() => new HttpsClient({ url: "http://127.0.0.1:1", caPem: "" })).toThrow(HttpError);
  });

  it("says where nobody answers, without the query", async () => {
    const http = new HttpsClient({ url: "https://127.0.0.1:1", caPem: server.caPem, retries: 0 });
    const error = await http.call("GET", "/objects/x?sig=secret").catch((e) => e);
    expect(error).toMatchObject({
      code: "UNREACHABLE",
      message: expect.stringContaining("https://127.0.0.1:1/objects/x"),
    });
    expect(error.message).not.toContain("secret");
    http.close();
  });

  it("streams both ways, and stops at a signal", async () => {
    const http = client();
    const answer = await http.stream("PUT", "/echo", { body: Readable.from([Buffer.from("a"), Buffer.from("b")]) });
    expect(answer.statusCode).toBe(201);
    let text = "";
    for await (const chunk of answer) text += chunk;
    expect(text).toBe("ab");
    const stop = new AbortController();
    const call = http.call("GET", "/slow", { signal: stop.signal });
    setTimeout(() => stop.abort(), 20);
    await expect(call).rejects.toMatchObject({ name: "AbortError" });
    http.close();
  });
});

describe("a route to a server that guests reach under another name", () => {
  const URL_OF_GUESTS = "https://kbs.sealflow.svc:8080";
  let named: TestServer;
  beforeAll(async () => {
    named = await serveHttps(
      async (request) => Response.json({ host: request.headers.get("host") }),
      ["kbs.sealflow.svc"],
    );
  });
  afterAll(() => named.close());

  const routed = (to: TestServer, env = `${URL_OF_GUESTS}=${new URL(to.url).host}`) =>
    new HttpsClient({
      url: URL_OF_GUESTS,
      caPem: to.caPem,
      retries: 0,
      routes: readRoutes("/nowhere", { SEALFLOW_ROUTES: env }),
    });

  it("is taken; the server sees the name that guests use", async () => {
    const http = routed(named);
    expect(await http.json("GET", "/")).toMatchObject({ status: 200, body: { host: "kbs.sealflow.svc:8080" } });
    http.close();
  });

  it("to a server whose certificate is for another name, is refused although its CA is pinned", async () => {
    const http = routed(server);
    await expect(http.call("GET", "/")).rejects.toMatchObject({ code: "TLS" });
    http.close();
  });

  it("that leads nowhere is named in the error", async () => {
    const http = routed(named, `${URL_OF_GUESTS}=127.0.0.1:1`);
    const message = expect.stringContaining("kbs.sealflow.svc:8080/: cannot be reached by the route to 127.0.0.1:1");
    await expect(http.call("GET", "/")).rejects.toMatchObject({ code: "UNREACHABLE", message });
    http.close();
  });

  it("comes from routes.json, the environment wins, and everything wrong is told at once", () => {
    const home = mkdtempSync(join(tmpdir(), "sealflow-routes-"));
    const file = join(home, "routes.json");
    writeFileSync(file, JSON.stringify({ "https://a:1": "b:2", "https://c:3": "d:4" }));
    const both = readRoutes(home, { SEALFLOW_ROUTES: "https://a:1=[::1]:9, https://e=f:6" });
    expect(Object.fromEntries(both)).toEqual({ "https://a:1": "[::1]:9", "https://c:3": "d:4", "https://e": "f:6" });
    writeFileSync(file, JSON.stringify({ "http://a:1": "b:2", "https://c/path": "d:4" }));
    const wrong = () => readRoutes(home, { SEALFLOW_ROUTES: "https://x=y" });
    for (const text of ["http://a:1", "https://c/path", '"y" is no host:port', "like https://"]) {
      expect(wrong).toThrow(text);
    }
    rmSync(home, { recursive: true });
  });
});

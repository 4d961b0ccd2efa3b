import { Readable } from "node:stream";
import { HttpError, HttpsClient } from "../../relying-party/http/client";
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

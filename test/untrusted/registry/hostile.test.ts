/** A registry, a token service and a network that do what they should not: what the client does then. */
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sha256hex } from "../../../protocol/crypto";
import { parseImageName, parsePinnedImage, parseRepository } from "../../../protocol/image-reference";
import { fileCredentials, RegistryClient } from "../../../untrusted/registry";
import { parseChallenges } from "../../../untrusted/registry/authorization";
import { authFiles } from "../../../untrusted/registry/credentials";
import { retryAfter } from "../../../untrusted/registry/retry";

const servers: ReturnType<typeof createServer>[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.close();
    server.closeAllConnections();
  }
});

type Handler = (req: IncomingMessage, res: ServerResponse) => void;
async function serve(handler: Handler): Promise<{ host: string; seen: IncomingMessage[] }> {
  const seen: IncomingMessage[] = [];
  const server = createServer((req, res) => {
    seen.push(req);
    handler(req, res);
  }).listen(0, "127.0.0.1");
  servers.push(server);
  await once(server, "listening");
  return { host: `127.0.0.1:${(server.address() as AddressInfo).port}`, seen };
}

const login = async () => ({ username: "ali", password: "s3cr3t-of-ali" });
const blob = Buffer.from("ciphertext");
const digest = sha256hex(blob);
const read = async (client: RegistryClient, host: string): Promise<string> => {
  const { body } = await client.blob({ host, repository: "a/b" }, digest, 0);
  let text = "";
  for await (const chunk of body) text += chunk;
  return text;
};

describe("credentials", () => {
  it("go to the registry, and not to the host that it redirects to", async () => {
    const elsewhere = await serve((_, res) => res.end(blob));
    const registry = await serve((req, res) => {
      if (req.headers.authorization === undefined) {
        res.writeHead(401, { "www-authenticate": 'Basic realm="r"' }).end();
      } else res.writeHead(307, { location: `http://${elsewhere.host}/blob` }).end();
    });
    const client = new RegistryClient({ credentials: login });
    expect(await read(client, registry.host)).toBe("ciphertext");
    expect(registry.seen[1]?.headers.authorization).toMatch(/^Basic /);
    expect(elsewhere.seen.map((r) => r.headers.authorization)).toEqual([undefined]);
    client.close();
  });

  it("go to no other host that an upload is sent to", async () => {
    const elsewhere = await serve((_, res) => res.writeHead(401, { "www-authenticate": 'Basic realm="x"' }).end());
    const registry = await serve((_, res) => res.end());
    const client = new RegistryClient({ credentials: login });
    const call = client.call(
      { host: registry.host, repository: "a/b" },
      { method: "PUT", target: new URL(`http://${elsewhere.host}/x`), rights: ["push"], accept: [201], what: "upload" },
    );
    await expect(call).rejects.toMatchObject({ code: "DENIED" });
    expect(elsewhere.seen.map((r) => r.headers.authorization)).toEqual([undefined]);
    client.close();
  });

  it("do not go over plain http to another machine, not even by a redirect or as a token request", async () => {
    const client = new RegistryClient({ credentials: login });
    const redirects = await serve((_, res) => res.writeHead(302, { location: "http://registry.example/x" }).end());
    await expect(read(client, redirects.host)).rejects.toMatchObject({ code: "PLAIN_HTTP" });
    const challenges = await serve((_, res) =>
      res.writeHead(401, { "www-authenticate": 'Bearer realm="http://tokens.example/t",service="s"' }).end(),
    );
    await expect(read(client, challenges.host)).rejects.toMatchObject({ code: "PLAIN_HTTP" });
    client.close();
  });

  it("are exchanged for a token of the wanted scope once, and again when it is refused", async () => {
    let issued = 0;
    const tokens = await serve((req, res) => {
      const asked = new URL(req.url ?? "", "http://x").searchParams;
      expect(asked.getAll("scope")).toEqual(["repository:a/b:pull"]);
      expect(asked.get("service")).toBe("s");
      expect(req.headers.authorization).toBe(`Basic ${Buffer.from("ali:s3cr3t-of-ali").toString("base64")}`);
      issued++;
      res.end(JSON.stringify({ token: `t${issued}`, expires_in: 300 }));
    });
    let good = "Bearer t1";
    const registry = await serve((req, res) => {
      if (req.headers.authorization === good) res.end(blob);
      else res.writeHead(401, { "www-authenticate": `Bearer realm="http://${tokens.host}/t",service="s"` }).end();
    });
    const client = new RegistryClient({ credentials: login });
    await read(client, registry.host);
    await read(client, registry.host);
    expect(issued).toBe(1);
    good = "Bearer t2";
    await read(client, registry.host);
    expect(issued).toBe(2);
    client.close();
  });

  it("stay out of errors when registry and token service answer with them", async () => {
    const registry = await serve((req, res) => {
      if (req.headers.authorization === undefined) res.writeHead(401, { "www-authenticate": 'Basic realm="r"' }).end();
      else res.writeHead(400).end(JSON.stringify({ errors: [{ code: req.headers.authorization }] }));
    });
    const client = new RegistryClient({ credentials: login });
    const error = await read(client, registry.host).catch((e) => e);
    expect(error).toMatchObject({ code: "REFUSED" });
    expect(`${error.stack}${error.message}`).not.toMatch(/Basic|s3cr3t|YWxp/);
    client.close();
  });
});

describe("a bad moment", () => {
  it("503 with Retry-After, a cut answer and 429 are tried again", async () => {
    let n = 0;
    const registry = await serve((_, res) => {
      n++;
      if (n === 1) res.writeHead(503, { "retry-after": "0" }).end();
      else if (n === 2) res.destroy();
      else if (n === 3) res.writeHead(429, { "retry-after": "0" }).end();
      else res.writeHead(200).end();
    });
    const client = new RegistryClient({ credentials: login });
    expect(await client.hasBlob({ host: registry.host, repository: "a/b" }, digest)).toBe(true);
    expect(n).toBe(4);
    client.close();
  });

  it("other bytes for a pinned manifest are CONTENT", async () => {
    const registry = await serve((_, res) => res.end("{}"));
    const client = new RegistryClient({ credentials: login });
    const pinned = client.manifest({ host: registry.host, repository: "a/b", digest });
    await expect(pinned).rejects.toMatchObject({ code: "CONTENT" });
    client.close();
  });

  it.each([
    ["2", 2000],
    ["Sat, 28 Nov 2026 12:00:05 GMT", 5000],
    ["nonsense", undefined],
    ["999999", 60_000],
  ])("Retry-After %s means %s ms", (header, ms) =>
    expect(retryAfter(header, Date.parse("2026-11-28T12:00:00Z"))).toBe(ms),
  );
});

describe("auth files", () => {
  let dir: string;
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), "sf-auth-"));
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  const ask = async (content: unknown, host = "r.example", repository = "team/spam") => {
    const file = join(dir, "auth.json");
    writeFileSync(file, typeof content === "string" ? content : JSON.stringify(content));
    return fileCredentials({ REGISTRY_AUTH_FILE: file, PATH: process.env.PATH })(host, repository);
  };
  const auth = (text: string) => ({ auth: Buffer.from(text).toString("base64") });

  it("are looked for where Podman and Docker keep them", () => {
    expect(authFiles({ REGISTRY_AUTH_FILE: "/x" }, "/h")).toEqual(["/x"]);
    expect(authFiles({ XDG_RUNTIME_DIR: "/run/u" }, "/h")).toEqual([
      "/run/u/containers/auth.json",
      "/h/.docker/config.json",
    ]);
    expect(authFiles({ DOCKER_CONFIG: "/d" }, "/h")).toEqual(["/d/config.json"]);
  });

  it("give the login of the most specific entry", async () => {
    const auths = { "r.example": auth("a:1"), "r.example/team": auth("b:2:3") };
    expect(await ask({ auths })).toEqual({ username: "b", password: "2:3" });
    expect(await ask({ auths }, "r.example", "other")).toEqual({ username: "a", password: "1" });
    expect(await ask({ auths }, "q.example")).toBeUndefined();
  });

  it("give Docker Hub's login under the name that Docker keeps it by, and identity tokens", async () => {
    const auths = { "https://index.docker.io/v1/": auth("h:1"), "r.example": { identitytoken: "idt" } };
    expect(await ask({ auths }, "docker.io", "library/x")).toEqual({ username: "h", password: "1" });
    expect(await ask({ auths })).toEqual({ identityToken: "idt" });
  });

  it.each<[string, unknown]>([
    ["that is no JSON", '{"auths": secret-text'],
    ["with a login that is not base64 of user:password", { auths: { "r.example": { auth: "c2VjcmV0LXRleHQ=" } } }],
    ["that names a helper by a path", { credHelpers: { "r.example": "../secret-text/x" } }],
    ["that names a helper which is not there", { credsStore: "no-such-helper-here" }],
  ])("%s is CREDENTIALS, without its content", async (_what, content) => {
    const error = await ask(content).catch((e) => e);
    expect(error).toMatchObject({ code: "CREDENTIALS" });
    expect(error.message).not.toMatch(/secret-text|c2VjcmV0/);
  });
});

describe("a challenge", () => {
  it("is read with several schemes, quoted commas and escapes", () => {
    expect(parseChallenges('Bearer realm="https://t/x?a=1,2",service="a \\"b\\"", Basic realm=plain')).toEqual([
      { scheme: "bearer", parameters: { realm: "https://t/x?a=1,2", service: 'a "b"' } },
      { scheme: "basic", parameters: { realm: "plain" } },
    ]);
  });
});

describe("a reference", () => {
  const pinned = `@sha256:${digest}`;
  it("is host, repository and digest", () => {
    expect(parsePinnedImage(`r.example:5000/team/spam${pinned}`)).toEqual({
      host: "r.example:5000",
      repository: "team/spam",
      digest,
    });
    expect(parseRepository("localhost/x")).toEqual({ host: "localhost", repository: "x" });
    expect(parseImageName(`r.example/a/b:v1${pinned}`)).toMatchObject({ tag: "v1", digest });
  });

  it.each([
    [`alpine${pinned}`, `docker.io/library/alpine${pinned}`],
    [`team/spam${pinned}`, `docker.io/team/spam${pinned}`],
    ["r.example/team/spam:v1", "r.example/team/spam@sha256:<64 hex>"],
    ["r.example/team/spam", "has no digest"],
    [`r.example/Team/spam${pinned}`, "not a repository"],
    [`R.example/team/spam${pinned}`, "not a host"],
    [`r.example/team/../spam${pinned}`, "not a repository"],
    [`r.example/team/spam@sha256:${"0".repeat(63)}`, "digest is not sha256"],
    [`r.example/team/spam${pinned}${pinned}`, "digest is not sha256"],
    [`https://r.example/team/spam${pinned}`, "not a host"],
  ])("%s is refused with the remedy", (text, remedy) => expect(() => parsePinnedImage(text)).toThrow(remedy));
});

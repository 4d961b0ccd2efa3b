/** Transfers against a store that breaks, lies and refuses: bounded retries, resumption, nothing accepted by mistake. */
import { randomBytes } from "node:crypto";
import { Resolver } from "node:dns/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Network } from "../../guest/net/https";
import { sealAndUpload } from "../../guest/upload";
import { StreamOpener, sealedSize } from "../../protocol/stream";

type Handler = (request: IncomingMessage, response: ServerResponse, count: number) => void;
let server: Server | undefined;
const network = new Network("https://127.0.0.1:1", "");
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});
afterAll(() => network.close());

async function serve(handler: Handler): Promise<string> {
  let count = 0;
  server = createServer((request, response) => handler(request, response, count++));
  await new Promise<void>((resolve) => server?.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/objects/x`;
}

const BYTES = randomBytes(300_000);
async function read(url: string, size = BYTES.length): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of network.download(url, size)) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces);
}

test("a download that breaks goes on where it broke", async () => {
  const ranges: (string | undefined)[] = [];
  const url = await serve((request, response, count) => {
    ranges.push(request.headers.range);
    const from = Number(/bytes=(\d+)-/.exec(request.headers.range ?? "")?.[1] ?? 0);
    response.writeHead(from > 0 ? 206 : 200, { "content-length": BYTES.length - from });
    if (count < 2) response.write(BYTES.subarray(from, from + 50_000), () => response.destroy());
    else response.end(BYTES.subarray(from));
  });
  expect((await read(url)).equals(BYTES)).toBe(true);
  expect(ranges).toHaveLength(3);
  expect(ranges[1]).toMatch(/^bytes=\d+-$/);
});

test("a store without ranges is read again from the beginning, and only new bytes count", async () => {
  const url = await serve((_request, response, count) => {
    response.writeHead(200, { "content-length": BYTES.length });
    if (count === 0) response.write(BYTES.subarray(0, 70_000), () => response.destroy());
    else response.end(BYTES);
  });
  expect((await read(url)).equals(BYTES)).toBe(true);
});

test("more and fewer bytes than committed end the download: the digest will tell", async () => {
  const url = await serve((_request, response) => response.end(BYTES));
  expect((await read(url, 1000)).length).toBeGreaterThan(1000);
  expect(await read(url, BYTES.length + 5)).toHaveLength(BYTES.length);
});

test("an object that is gone is not waited for", async () => {
  const url = await serve((_request, response) => response.writeHead(404).end());
  await expect(read(url)).rejects.toMatchObject({ code: "STORE_UNREACHABLE", exit: 10 });
});

test("a store that sends the guest elsewhere is not followed, neither for reading nor for writing", async () => {
  const elsewhere: string[] = [];
  const other = createServer((request, response) => {
    elsewhere.push(request.url ?? "");
    response.end(BYTES);
  });
  await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
  const location = `http://127.0.0.1:${(other.address() as AddressInfo).port}/stolen`;
  const url = await serve((request, response, count) => {
    request.resume();
    request.on("end", () => (count < 2 ? response.writeHead(307, { location }).end() : response.end(BYTES)));
  });
  const status = await network.put(
    url,
    3,
    (async function* () {
      yield Buffer.from("abc");
    })(),
  );
  expect(status).toBe(307);
  expect((await read(url)).equals(BYTES)).toBe(true); // asked again where it was
  expect(elsewhere).toEqual([]);
  other.close();
});

describe("URLs that a hostile ledger names", () => {
  const far = new Network("https://ledger.example:8443", "");
  afterAll(() => far.close());
  const content = async function* () {
    yield Buffer.from("abc");
  };
  const first = async (url: string) => (await far.download(url, 3).next()).value;

  test("of the guest's own machine: nothing is asked there, neither for reading nor for writing", async () => {
    let asked = 0;
    const url = await serve((_request, response) => {
      asked++;
      response.end(BYTES);
    });
    const local = url.replace("127.0.0.1", "localhost");
    for (const named of [
      url,
      local,
      "https://169.254.169.254/latest/meta-data/",
      "http://store.example/x",
      "https://[",
    ]) {
      await expect(first(named)).rejects.toMatchObject({ code: "ANSWER", exit: 31 });
      await expect(far.put(named, 3, content())).rejects.toMatchObject({ code: "ANSWER" });
      expect(far.isLedger(named)).toBe(false);
    }
    expect(asked).toBe(0);
  });

  test("by a name that stands for such an address: refused at once, and not quoted", async () => {
    jest.spyOn(Resolver.prototype, "resolve4").mockResolvedValue(["127.0.0.1"] as never);
    jest.spyOn(Resolver.prototype, "resolve6").mockResolvedValue([] as never);
    const refused = first("https://store.example:9/secret-name");
    await expect(refused).rejects.toMatchObject({ code: "ANSWER", exit: 31 });
    await expect(refused).rejects.toThrow(/^(?!.*secret-name).*loopback address/);
    jest.restoreAllMocks();
  });
});

describe("an upload", () => {
  const key = new Uint8Array(32).fill(7);
  const ad = new Uint8Array([1]);
  const upload = (url: string, content: Uint8Array = BYTES) =>
    sealAndUpload(
      {
        place: { kind: "whole", url },
        key,
        associatedData: ad,
        hmacKey: key,
        size: content.length,
        read: async function* () {
          yield content;
        },
      },
      network,
    );
  const body = async (request: IncomingMessage): Promise<Buffer> => {
    const pieces: Buffer[] = [];
    for await (const piece of request as AsyncIterable<Buffer>) pieces.push(piece);
    return Buffer.concat(pieces);
  };

  test.each([0, 1, 1000, 9_000_000])(
    "of %d bytes arrives whole, with its length announced, and opens",
    async (size) => {
      const content = randomBytes(size);
      let got: Uint8Array = Buffer.alloc(0);
      let announced = "";
      const url = await serve(async (request, response) => {
        announced = request.headers["content-length"] ?? "";
        got = await body(request);
        response.writeHead(201).end();
      });
      const sealed = await upload(url, content);
      expect([announced, got.length, sealed.size]).toEqual([String(got.length), sealedSize(size), sealedSize(size)]);
      const opener = new StreamOpener(key, ad);
      const plain = Buffer.concat([...opener.push(got), ...opener.end()].map((p) => Buffer.from(p)));
      expect(plain.equals(content)).toBe(true);
    },
  );

  test("whose answer is lost is sent again with the same bytes", async () => {
    const bodies: Buffer[] = [];
    const url = await serve(async (request, response, count) => {
      bodies.push(await body(request));
      if (count === 0) response.destroy();
      else response.writeHead(200).end();
    });
    await upload(url);
    expect(bodies).toHaveLength(2);
    expect(bodies[0]?.equals(bodies[1] as Buffer)).toBe(true);
  });

  test("to a full store says so at once", async () => {
    const url = await serve((_request, response) => response.writeHead(507).end());
    await expect(upload(url)).rejects.toMatchObject({ code: "STORE_FULL", exit: 10 });
  });

  test("that is refused before it was read ends with the refusal", async () => {
    const url = await serve((_request, response) => response.writeHead(403, { connection: "close" }).end());
    await expect(upload(url, randomBytes(20_000_000))).rejects.toMatchObject({ code: "STORE_UNREACHABLE" });
  });

  test("whose content cannot be read ends with that error, and the store gets no whole object", async () => {
    let whole = false;
    const url = await serve((request) => {
      request.on("end", () => {
        whole = true;
      });
      request.resume();
    });
    const broken = {
      place: { kind: "whole" as const, url },
      key,
      associatedData: ad,
      hmacKey: key,
      size: 10,
      // biome-ignore lint/correctness/useYield: it fails before it has anything.
      read: async function* (): AsyncGenerator<Uint8Array> {
        throw new RangeError("changed while it was read");
      },
    };
    const failing = sealAndUpload(broken, network);
    await expect(failing).rejects.toMatchObject({ code: "INTERNAL" });
    expect(whole).toBe(false);
  });
});

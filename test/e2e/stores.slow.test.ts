/**
 * Objects of a run in stores that are not the ledger: guests send large ones in parts, and a store that serves other
 * objects, older ones, or sends readers elsewhere is found out.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import * as path from "node:path";
import { azuriteMissing, startAzurite } from "../support/azurite-server";
import { ok, sealflow } from "../support/cli";
import { createProject, type Project } from "../support/project";
import { S3_ENV, s3Missing, startS3 } from "../support/s3-server";

jest.setTimeout(600_000);

const MIB = 1024 * 1024;
const SIZE = 40 * MIB + 77;
const PROGRAM = `
const { ConfidentialPipeline, dataset, image, localEnvironment, pipeline } = require("sealflow");
const p = pipeline("large");
const seed = p.input("seed", "text");
const make = p.step("make", { image: image.folder("./steps"), command: ["node", "/app/make.js"], inputs: { seed }, outputs: { blob: "bytes" } });
const sum = p.step("sum", { image: image.folder("./steps"), command: ["node", "/app/sum.js"], inputs: { blob: make.blob }, outputs: { sum: "json" } });
p.release({ blob: make.blob, sum: sum.sum });
exports.version = new ConfidentialPipeline("large", { spec: p.toJSON(), inputs: { seed: dataset.file("seed.txt") }, environment: localEnvironment() }).version;
`;
/** The same bytes everywhere: AES of zeros under the seed. */
const MAKE = `
const fs = require("node:fs"), crypto = require("node:crypto");
const key = crypto.createHash("sha256").update(fs.readFileSync("/sealflow/in/seed")).digest();
const cipher = crypto.createCipheriv("aes-256-ctr", key, Buffer.alloc(16));
fs.writeFileSync("/sealflow/out/blob", cipher.update(Buffer.alloc(${SIZE})));
`;
const SUM = `
const fs = require("node:fs"), crypto = require("node:crypto");
const blob = fs.readFileSync("/sealflow/in/blob");
fs.writeFileSync("/sealflow/out/sum", JSON.stringify({ size: blob.length, sha256: crypto.createHash("sha256").update(blob).digest("hex") }));
`;

/** What a test's server has; keys with the store's prefix. */
interface Target {
  readonly url: string;
  readonly env: NodeJS.ProcessEnv;
  keys(): Promise<string[]>;
  parts(key: string): Promise<number>;
  object(key: string): Promise<Buffer>;
  replace(key: string, bytes: Uint8Array): Promise<void>;
  stop(): Promise<void>;
}

async function s3(): Promise<Target> {
  const server = await startS3();
  const bucket = "large";
  return {
    url: await server.bucket(bucket),
    env: S3_ENV,
    keys: () => server.keys(bucket),
    parts: (key) => server.parts(bucket, key),
    object: (key) => server.object(bucket, key),
    replace: (key, bytes) => server.replace(bucket, key, bytes),
    stop: server.stop,
  };
}

async function blob(): Promise<Target> {
  const server = await startAzurite();
  const container = "large";
  return {
    url: await server.container(container),
    env: server.env,
    keys: () => server.keys(container),
    parts: (key) => server.parts(container, key),
    object: (key) => server.object(container, key),
    replace: (key, bytes) => server.replace(container, key, bytes),
    stop: server.stop,
  };
}

/** The network in front of a store, which nobody trusts: passes everything on, or sends readers elsewhere. */
async function front(
  origin: string,
): Promise<{ origin: string; redirect: { to: string | undefined }; server: Server }> {
  const redirect: { to: string | undefined } = { to: undefined };
  const { hostname, port } = new URL(origin);
  const server = createServer((incoming, outgoing) => {
    if (redirect.to !== undefined && incoming.method === "GET") {
      outgoing.writeHead(302, { location: redirect.to }).end();
      return;
    }
    const { method, url, headers } = incoming;
    const sent = request({ hostname, port, method, path: url, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    sent.on("error", () => outgoing.destroy());
    incoming.pipe(sent);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, redirect, server };
}

describe.each([
  ["S3", s3Missing(), s3],
  ["Azure Blob", azuriteMissing(), blob],
] as const)("%s", (_name, missing, start) => {
  if (missing) console.log(`skipped: ${missing}`);
  const check = missing ? it.skip : it;
  let target: Target;
  let network: Awaited<ReturnType<typeof front>>;
  let project: Project;
  const runs: string[] = [];

  beforeAll(async () => {
    if (missing) return;
    target = await start();
    const address = /http:\/\/127\.0\.0\.1:\d+/.exec(decodeURIComponent(target.url))?.[0] as string;
    network = await front(address);
    const store = decodeURIComponent(target.url).replace(address, network.origin);
    project = createProject(PROGRAM);
    project.write("seed.txt", "seed of the test");
    project.write("steps/make.js", MAKE);
    project.write("steps/sum.js", SUM);
    await ok(project, ["dev", "--detach", "--store", store], target.env);
    await ok(project, ["up", "--stack", "local"]);
    for (let n = 0; n < 2; n++) {
      const summary = JSON.parse((await ok(project, ["run", "--json"])).stdout);
      expect(summary.state).toBe("succeeded");
      runs.push(summary.run);
    }
  });
  afterAll(async () => {
    if (missing) return;
    await sealflow(project, ["dev", "--stop"]);
    project.remove();
    network.server.closeAllConnections();
    network.server.close();
    await target.stop();
  });

  /** The largest object of a run. */
  async function largest(run: string): Promise<{ key: string; bytes: Buffer }> {
    const keys = (await target.keys()).filter((key) => key.includes(`runs/${run}/`));
    const all = await Promise.all(keys.map(async (key) => ({ key, bytes: await target.object(key) })));
    return all.sort((a, b) => b.bytes.length - a.bytes.length)[0] as { key: string; bytes: Buffer };
  }
  const fetchOf = (run: string) => sealflow(project, ["fetch", run, "--all", "--out", `got-${run.slice(0, 8)}`]);

  check(
    "a guest sends an output of 40 MiB in parts, and the next guest and the owner read the same bytes",
    async () => {
      const [run = ""] = runs;
      const { key, bytes } = await largest(run);
      expect(bytes.length).toBeGreaterThan(SIZE);
      expect(await target.parts(key)).toBe(3);
      await ok(project, ["fetch", run, "--all", "--out", "fetched"]);
      const released = (name: string) => readFileSync(path.join(project.dir, "fetched/released", name));
      const sum = JSON.parse(released("sum").toString("utf8"));
      expect(sum.size).toBe(SIZE);
      expect(createHash("sha256").update(released("blob")).digest("hex")).toBe(sum.sha256);
    },
  );

  check(
    "an older run's object in the place of a newer one's, the same plaintext in it, is found by its digest",
    async () => {
      const [old = "", run = ""] = runs;
      const { key, bytes } = await largest(run);
      await target.replace(key, (await largest(old)).bytes);
      const { code, stdout, stderr } = await fetchOf(run);
      expect(code).not.toBe(0);
      expect(stdout + stderr).toMatch(/the store sent bytes with SHA-256 \w+ \[FOLDER_EXPORT\]/);
      await target.replace(key, bytes);
    },
  );

  check("a store that sends the owner elsewhere is not followed", async () => {
    const asked: string[] = [];
    const other = createServer((incoming, outgoing) => {
      asked.push(incoming.url ?? "");
      outgoing.end("other bytes");
    });
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    network.redirect.to = `http://127.0.0.1:${(other.address() as AddressInfo).port}/elsewhere`;
    try {
      const { code } = await fetchOf(runs[1] ?? "");
      expect(code).not.toBe(0);
      expect(asked).toEqual([]);
    } finally {
      network.redirect.to = undefined;
      other.close();
    }
  });
});

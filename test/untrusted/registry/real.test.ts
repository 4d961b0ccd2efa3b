/** The client against the distribution project's own registry. */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { connect, createServer as createTcpServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parsePinnedImage } from "../../../protocol/image-reference";
import { fileCredentials, isPulled, pullImage, pushImage, RegistryClient } from "../../../untrusted/registry";
import { type RegistryServer, registryMissing, startRegistry } from "../../support/docker-registry";
import { writeImage } from "./images";

const missing = registryMissing();
const suite = missing ? describe.skip : describe;
const MIB = 1024 * 1024;
/** bcrypt of "open sesame". */
const USERS = "ali:$2y$05$abcdefghijklmnopqrstuupx2xBUC4954936wVIjyyPHmUBFu0wCW\n";
const PASSWORD = "open sesame";

let dir: string;
let image: { digest: string; layers: string[] };
let layout: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "sf-reg-test-"));
  layout = join(dir, "layout");
  image = writeImage(layout, [100, 20 * MIB + 7, 1]);
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const none = async () => undefined;
const ociOf = (host: string, repository = "team/spam") => ({ host, repository });

suite(`an open registry${missing ? ` (skipped: ${missing})` : ""}`, () => {
  let server: RegistryServer;
  const client = new RegistryClient({ credentials: none });
  beforeAll(async () => {
    server = await startRegistry();
  });
  afterAll(async () => {
    client.close();
    await server?.stop();
  });

  it("takes an image once: pushed, pulled byte for byte, and the second push sends nothing", async () => {
    const progress: number[] = [];
    const at = ociOf(server.host);
    const first = await pushImage(client, at, {
      layoutDir: layout,
      digest: image.digest,
      onProgress: (n) => progress.push(n),
    });
    expect(first).toMatchObject({ reference: `${server.host}/team/spam@sha256:${image.digest}` });
    expect(first.sent).toBe(progress.at(-1));
    expect((await pushImage(client, at, { layoutDir: layout, digest: image.digest })).sent).toBe(0);

    const copy = join(dir, "copy");
    const pulled = await pullImage(client, parsePinnedImage(first.reference), { layoutDir: copy });
    expect(pulled).toMatchObject({ digest: image.digest, received: first.sent });
    for (const digest of [...image.layers, image.digest]) {
      const bytes = readFileSync(join(copy, "blobs", "sha256", digest));
      expect(createHash("sha256").update(bytes).digest("hex")).toBe(digest);
    }
    expect(await isPulled(copy, image.digest)).toBe(true);
    expect((await pullImage(client, parsePinnedImage(first.reference), { layoutDir: copy })).received).toBe(0);
  });

  it("mounts layers from another of its repositories instead of taking them again", async () => {
    const at = ociOf(server.host, "team/other");
    const { sent } = await pushImage(client, at, {
      layoutDir: layout,
      digest: image.digest,
      mountFrom: ["none/here", "team/spam"],
    });
    expect(sent).toBe(0);
    expect(await client.hasManifest(at, image.digest)).toBe(true);
  });

  it("a push whose process is killed in the middle of a layer goes on behind the confirmed pieces", async () => {
    const own = join(dir, "killed");
    const big = writeImage(own, [24 * MIB]);
    const program = `
      const { RegistryClient, pushImage } = require(${JSON.stringify(join(__dirname, "../../../dist/untrusted/registry"))});
      pushImage(new RegistryClient({ credentials: async () => undefined }), ${JSON.stringify(ociOf(server.host, "team/killed"))}, {
        layoutDir: ${JSON.stringify(own)}, digest: ${JSON.stringify(big.digest)},
        onProgress: (n) => { if (n > 9 * 1024 * 1024) process.kill(process.pid, "SIGKILL"); },
      });`;
    const child = spawn(process.execPath, ["-e", program], { stdio: ["ignore", "ignore", "inherit"] });
    const [, signal] = await once(child, "exit");
    expect(signal).toBe("SIGKILL");
    const pieces = () => server.requests().filter((r) => /^PATCH .*killed/.test(r)).length;
    expect(pieces()).toBe(2);
    const progress: number[] = [];
    await pushImage(client, ociOf(server.host, "team/killed"), {
      layoutDir: own,
      digest: big.digest,
      onProgress: (n) => progress.push(n),
    });
    // What was left: the third piece of the layer, and the config.
    expect(pieces()).toBe(4);
    expect(progress.slice(0, 2)).toEqual([16 * MIB, 24 * MIB]);
    expect(readdirSync(join(own, "uploads"))).toEqual([]);
    const copy = join(dir, "killed-copy");
    await pullImage(client, { ...ociOf(server.host, "team/killed"), digest: big.digest }, { layoutDir: copy });
    expect(await isPulled(copy, big.digest)).toBe(true);
  });

  it("connections that break in both directions end in a whole image", async () => {
    const relay = await breakingRelay(server.host, 5 * MIB);
    const through = new RegistryClient({ credentials: none });
    const own = join(dir, "broken");
    const big = writeImage(own, [12 * MIB]);
    try {
      const at = ociOf(relay.host, "team/broken");
      await pushImage(through, at, { layoutDir: own, digest: big.digest });
      const copy = join(dir, "broken-copy");
      await pullImage(through, { ...at, digest: big.digest }, { layoutDir: copy });
      expect(await isPulled(copy, big.digest)).toBe(true);
      expect(relay.broken()).toBeGreaterThan(2);
    } finally {
      through.close();
      await relay.close();
    }
  });

  it("a pinned index leads to its linux/amd64 image", async () => {
    const at = ociOf(server.host, "team/index");
    await pushImage(client, at, { layoutDir: layout, digest: image.digest });
    const size = readFileSync(join(layout, "blobs", "sha256", image.digest)).length;
    const mediaType = "application/vnd.oci.image.index.v1+json";
    const manifest = "application/vnd.oci.image.manifest.v1+json";
    const entry = {
      mediaType: manifest,
      digest: `sha256:${image.digest}`,
      size,
      platform: { os: "linux", architecture: "amd64" },
    };
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, manifests: [entry] }));
    const digest = createHash("sha256").update(bytes).digest("hex");
    await client.putManifest(at, { bytes, mediaType, digest });
    const pulled = await pullImage(client, { ...at, digest }, { layoutDir: join(dir, "by-index") });
    expect(pulled.digest).toBe(image.digest);
  });

  it("what it does not have is NOT_FOUND; a deleted manifest is gone and deleting it again is fine", async () => {
    const at = ociOf(server.host);
    await expect(client.manifest({ ...at, digest: "0".repeat(64) })).rejects.toMatchObject({ code: "NOT_FOUND" });
    await client.deleteManifest(at, image.digest);
    expect(await client.hasManifest(at, image.digest)).toBe(false);
    await client.deleteManifest(at, image.digest);
  });

  it("a blob that was changed on the registry's disk is refused and gets no name", async () => {
    const at = ociOf(server.host, "team/changed");
    const own = join(dir, "changed");
    const small = writeImage(own, [5000]);
    await pushImage(client, at, { layoutDir: own, digest: small.digest });
    const layer = small.layers[0] as string;
    const stored = join(server.storage, "docker/registry/v2/blobs/sha256", layer.slice(0, 2), layer, "data");
    const bytes = readFileSync(stored);
    bytes[77] = (bytes[77] as number) ^ 1;
    writeFileSync(stored, bytes);
    const copy = join(dir, "changed-copy");
    await expect(pullImage(client, { ...at, digest: small.digest }, { layoutDir: copy })).rejects.toMatchObject({
      code: "CONTENT",
    });
    expect(readdirSync(join(copy, "blobs", "sha256"))).not.toContain(layer);
    expect(await isPulled(copy, small.digest)).toBe(false);
  });
});

suite(`a registry with passwords${missing ? ` (skipped: ${missing})` : ""}`, () => {
  let server: RegistryServer;
  beforeAll(async () => {
    server = await startRegistry({ htpasswd: USERS });
  });
  afterAll(() => server?.stop());

  const withFile = (content: object): RegistryClient => {
    const file = join(dir, "auth.json");
    writeFileSync(file, JSON.stringify(content), { mode: 0o600 });
    return new RegistryClient({ credentials: fileCredentials({ ...process.env, REGISTRY_AUTH_FILE: file }) });
  };
  const entry = (password: string) => ({ auth: Buffer.from(`ali:${password}`).toString("base64") });
  const push = (client: RegistryClient) =>
    pushImage(client, ociOf(server.host), { layoutDir: layout, digest: image.digest }).finally(() => client.close());

  it("takes the login of an auth file", async () => {
    const { sent } = await push(withFile({ auths: { [server.host]: entry(PASSWORD) } }));
    expect(sent).toBeGreaterThan(20 * MIB);
  });

  it("takes the login of a credential helper, which gets the host on its input", async () => {
    const bin = mkdtempSync(join(dir, "bin-"));
    const answer = JSON.stringify({ ServerURL: server.host, Username: "ali", Secret: PASSWORD });
    const script = `#!/bin/sh\nread host\n[ "$1 $host" = "get ${server.host}" ] && echo '${answer}'\n`;
    writeFileSync(join(bin, "docker-credential-vault"), script, { mode: 0o755 });
    const file = join(bin, "config.json");
    writeFileSync(file, JSON.stringify({ credHelpers: { [server.host]: "vault" } }));
    const env = { REGISTRY_AUTH_FILE: file, PATH: `${bin}:${process.env.PATH}` };
    expect((await push(new RegistryClient({ credentials: fileCredentials(env) }))).sent).toBe(0);
  });

  it("without a login, and with a wrong one, is DENIED; the error holds no password", async () => {
    await expect(push(withFile({}))).rejects.toMatchObject({ code: "DENIED" });
    const error = await push(withFile({ auths: { [server.host]: entry("wrong-secret-9") } })).catch((e) => e);
    expect(error).toMatchObject({ code: "DENIED" });
    expect(`${error.stack}${JSON.stringify(error)}`).not.toMatch(/wrong-secret-9|d3Jvbmctc2VjcmV0/);
  });
});

/** Forwards to the registry and breaks each connection after so many bytes in one direction. */
async function breakingRelay(host: string, bytes: number) {
  const port = Number(host.split(":")[1]);
  let broken = 0;
  const server = createTcpServer((inner) => {
    const outer = connect(port, "127.0.0.1");
    for (const [from, to] of [
      [inner, outer],
      [outer, inner],
    ] as const) {
      let passed = 0;
      from.on("data", (chunk) => {
        passed += chunk.length;
        // Every second connection is whole: pieces are larger than what a broken one lets through.
        if (passed > bytes && inner.remotePort !== undefined && broken % 2 === 0) {
          broken++;
          inner.destroy();
          outer.destroy();
        } else if (passed > bytes && broken % 2 === 1) {
          broken++;
          passed = Number.NEGATIVE_INFINITY;
          to.write(chunk);
        } else to.write(chunk);
      });
      from.on("end", () => to.end());
      from.on("error", () => to.destroy());
      from.on("close", () => to.destroy());
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    broken: () => broken,
    close: () => closeServer(server),
  };
}

const closeServer = (server: ReturnType<typeof createTcpServer>) =>
  new Promise<void>((resolve) => {
    server.close(() => resolve());
  });

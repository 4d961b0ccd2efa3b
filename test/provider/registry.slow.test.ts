/** A pipeline whose images go through a real registry: base pulled from it, sealed images pushed to it, nodes pull them. */
import { execFileSync } from "node:child_process";
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { checkImageSignature, cosignPublicKey } from "../../policy";
import { sha256hex } from "../../protocol/crypto";
import { MEDIA } from "../../protocol/oci";
import { RegistryClient } from "../../untrusted/registry";
import { removeChain, run, startServices, up } from "../support/chain";
import { ok, sealflow } from "../support/cli";
import { type RegistryServer, registryMissing, startRegistry } from "../support/docker-registry";
import { createProject, type Project } from "../support/project";
import { type RegistryFront, startRegistryFront } from "../support/registry-front";

jest.setTimeout(600_000);
const missing = registryMissing();
type Json = Record<string, unknown>;
const PLANTED = "planted-code-in-registry-4d70";

const program = (host: string, base: string) => `
const { ConfidentialPipeline, dataset, image, localEnvironment, pipeline } = require("sealflow");
const { existsSync, readFileSync } = require("node:fs");
const key = __dirname + "/../cosign.pem";
const signed = existsSync(key) ? { signingKey: readFileSync(key, "utf8") } : {};
const p = pipeline("reg");
const mails = p.input("mails", "jsonl");
const one = p.step("one", { image: image.folder("./steps/one", { base: image.registry("${host}/base/data@sha256:${base}") }),
  command: ["node", "/app/main.js"], inputs: { mails }, outputs: { out: "json" } });
p.release({ out: one.out });
new ConfidentialPipeline("reg", { spec: p.toJSON(), inputs: { mails: dataset.file("data/mails.jsonl") },
  environment: localEnvironment("local", { registry: { repository: "${host}/team/reg", deleteManifest: true, ...signed } }) });
`;

const MAIN = `// ${PLANTED}
const fs = require("node:fs");
fs.writeFileSync("/sealflow/out/out", JSON.stringify({ base: fs.readFileSync("/base.txt", "utf8") }));
`;

(missing ? describe.skip : describe)(`images in a registry${missing ? ` (skipped: ${missing})` : ""}`, () => {
  let server: RegistryServer;
  let front: RegistryFront;
  let project: Project;
  let base: string;
  beforeAll(async () => {
    server = await startRegistry();
    front = await startRegistryFront(server.host);
    base = await pushBase(server.host);
    project = createProject(program(front.host, base));
    project.write("data/mails.jsonl", '{"a":1}\n');
    project.write("steps/one/main.js", MAIN);
    await startServices(project);
    await up(project);
  });
  afterAll(async () => {
    await removeChain(project);
    await front.stop();
    await server.stop();
  });

  const pushed = async () => {
    const jobs = join(project.home, "backend", "local", "reg", "one.job.json");
    return JSON.parse(readFileSync(jobs, "utf8")).spec.template.spec.containers[0].image as string;
  };

  it("a step runs from the registry on a node that has no copy, with the base that was pulled by digest", async () => {
    expect(await pushed()).toMatch(new RegExp(`^${front.host}/team/reg@sha256:[0-9a-f]{64}$`));
    rmSync(join(project.home, "images"), { recursive: true });
    const { run: id, state } = await run(project);
    expect(state).toBe("succeeded");
    await ok(project, ["fetch", id]);
    const out = JSON.parse(readFileSync(join(project.home, "runs", id, "released", "out"), "utf8"));
    expect(out).toEqual({ base: "from the registry" });
  });

  it("the registry holds no plaintext of the step and no tag", async () => {
    expect(execFileSync("grep", ["-rlc", "from the registry", server.storage]).toString()).not.toBe("");
    expect(() => execFileSync("grep", ["-rl", PLANTED, server.storage])).toThrow();
    const repositories = join(server.storage, "docker/registry/v2/repositories/team/reg/_manifests");
    expect(readdirSync(repositories)).toEqual(["revisions"]);
  });

  it("a second up sends nothing", async () => {
    const before = server.requests().length;
    await up(project);
    const sent = server
      .requests()
      .slice(before)
      .filter((r) => /^(PATCH|PUT|POST)/.test(r));
    expect(sent).toEqual([]);
  });

  describe("with a signing key", () => {
    const tags = () => join(server.storage, "docker/registry/v2/repositories/team/reg/_manifests/tags");
    const sign = (pem: string) => project.write("cosign.pem", pem);
    const newKey = () => generateKeyPairSync("ec", { namedCurve: "P-256" });
    const pemOf = (key: KeyObject) => key.export({ format: "pem", type: "pkcs8" }).toString();
    /** As a guest would: by the tag that it computes from what it pulls. */
    async function guestTakes(publicKey: KeyObject): Promise<boolean> {
      const digest = (await pushed()).split("sha256:")[1] as string;
      const at = { host: front.host, repository: "team/reg" };
      const client = new RegistryClient({ credentials: async () => undefined });
      try {
        const manifest = await client.manifest({ ...at, tag: `sha256-${digest}.sig` });
        const [layer] = JSON.parse(manifest.bytes.toString()).layers;
        const { body } = await client.blob(at, layer.digest.slice(7), 0);
        const bytes = Buffer.concat(await body.toArray());
        const image = { repository: `${front.host}/team/reg`, manifestDigest: `sha256:${digest}` };
        const signature = { manifest: { ...manifest, digest: "" }, layer: { ...layer, bytes } };
        checkImageSignature(image, signature, cosignPublicKey(publicKey));
        return true;
      } catch {
        return false;
      } finally {
        client.close();
      }
    }

    it("an image is signed where guests look, keeps its digest, and the key is in clear nowhere", async () => {
      const before = await pushed();
      const { privateKey, publicKey } = newKey();
      expect(await guestTakes(publicKey)).toBe(false);
      sign(pemOf(privateKey));
      await up(project);
      expect(await pushed()).toBe(before);
      expect(await guestTakes(publicKey)).toBe(true);
      expect(await guestTakes(newKey().publicKey)).toBe(false);
      const secret = pemOf(privateKey).split("\n")[1] as string;
      const { stdout } = await ok(project, ["pulumi", "--", "stack", "export", "--stack", "local"]);
      expect(stdout).not.toContain(secret);
      expect(() => execFileSync("grep", ["-rl", secret, server.storage])).toThrow();
    });

    it("a signature that was taken away comes back with a refresh, and nothing else changes", async () => {
      rmSync(tags(), { recursive: true });
      const before = await pushed();
      await ok(project, ["pulumi", "--", "refresh", "--yes", "--stack", "local"]);
      const { stdout } = await ok(project, ["pulumi", "--", "preview", "--diff", "--stack", "local"]);
      expect(stdout).not.toMatch(/replace/);
      await up(project);
      expect(await pushed()).toBe(before);
      expect(readdirSync(tags())).toHaveLength(1);
    });

    /** As the state says. */
    const signedBy = async () => {
      const { stdout } = await ok(project, ["pulumi", "--", "stack", "export", "--stack", "local"]);
      const { resources } = JSON.parse(stdout).deployment as { resources: { type: string; outputs: Json }[] };
      return resources.find(({ type }) => type.endsWith("SealedImage"))?.outputs.signedBy;
    };

    it.each(["manifests", "blobs"])(
      "a registry that gives no %s is an outage, not a signature that is gone",
      async (part) => {
        const signedBy = async () => {
          const { stdout } = await ok(project, ["pulumi", "--", "stack", "export", "--stack", "local"]);
          const { resources } = JSON.parse(stdout).deployment as { resources: { type: string; outputs: Json }[] };
          return resources.find(({ type }) => type.endsWith("SealedImage"))?.outputs.signedBy;
        };
        const before = await signedBy();
        expect(before).toMatch(/^[0-9a-f]{64}$/);
        // Of the signature: the image's own manifest is asked for by digest.
        const end = front.refuse(part === "manifests" ? /^GET .*\/manifests\/sha256-/ : /^GET .*\/blobs\//);
        const { code, stdout, stderr } = await sealflow(project, [
          "pulumi",
          "--",
          "refresh",
          "--yes",
          "--stack",
          "local",
        ]);
        end();
        expect(code).not.toBe(0);
        expect(stdout + stderr).toMatch(/503/);
        expect(await signedBy()).toBe(before);
      },
    );

    it("another signer's signature beside ours hides nothing", async () => {
      const tag = `sha256-${(await pushed()).split("sha256:")[1]}.sig`;
      const url = `http://${server.host}/v2/team/reg/manifests/${tag}`;
      const ours = (await (await fetch(url, { headers: { accept: MEDIA.manifest } })).json()) as { layers: Json[] };
      const [layer] = ours.layers as [Json];
      const theirs = { ...layer, annotations: { "dev.cosignproject.cosign/signature": "not even Base64" } };
      const body = JSON.stringify({ ...ours, layers: [theirs, layer] });
      const put = await fetch(url, { method: "PUT", headers: { "content-type": MEDIA.manifest }, body });
      expect(put.status).toBe(201);
      const before = await signedBy();
      await ok(project, ["pulumi", "--", "refresh", "--yes", "--stack", "local"]);
      expect(await signedBy()).toBe(before);
    });

    it("another key signs anew, without a new image", async () => {
      const before = await pushed();
      const { privateKey, publicKey } = newKey();
      sign(pemOf(privateKey));
      await up(project);
      expect(await pushed()).toBe(before);
      expect(await guestTakes(publicKey)).toBe(true);
    });

    it.each([
      ["of RSA", () => pemOf(generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey)],
      ["on another curve", () => pemOf(generateKeyPairSync("ec", { namedCurve: "P-384" }).privateKey)],
      ["that is none", () => "cosign.key"],
    ])("a key %s is refused in the preview, with what makes one, and is not quoted", async (_what, pem) => {
      const good = project.read("cosign.pem");
      sign(pem());
      const { code, stdout, stderr } = await sealflow(project, ["pulumi", "--", "preview", "--stack", "local"]);
      sign(good);
      expect(code).not.toBe(0);
      expect(stdout + stderr).toMatch(/signingKey[\s\S]*openssl genpkey -algorithm EC/);
      expect(stdout + stderr).not.toContain("PRIVATE KEY-----");
    });
  });

  it("a layer that the registry changed is refused by the node, and the step does not run", async () => {
    const digest = (await pushed()).split("sha256:")[1] as string;
    const client = new RegistryClient({ credentials: async () => undefined });
    const { bytes } = await client.manifest({ host: server.host, repository: "team/reg", digest });
    client.close();
    const layers = (JSON.parse(bytes.toString()) as { layers: { digest: string }[] }).layers;
    const layer = (layers.at(-1) as { digest: string }).digest.slice(7);
    const file = join(server.storage, "docker/registry/v2/blobs/sha256", layer.slice(0, 2), layer, "data");
    const changed = readFileSync(file);
    changed[9] = (changed[9] as number) ^ 1;
    writeFileSync(file, changed);
    rmSync(join(project.home, "cache", "images"), { recursive: true });
    const { code, stdout, stderr } = await sealflow(project, ["run"]);
    expect(code).not.toBe(0);
    expect(stdout + stderr).toContain("CONTENT");
  });

  it("destroy deletes the manifest and its signature where the program says so", async () => {
    const digest = (await pushed()).split("sha256:")[1] as string;
    const url = `http://${server.host}/v2/team/reg/manifests/sha256-${digest}.sig`;
    const signature = () => fetch(url, { headers: { accept: MEDIA.manifest } });
    expect((await signature()).status).toBe(200);
    await ok(project, ["pulumi", "--", "destroy", "--yes", "--stack", "local"]);
    const client = new RegistryClient({ credentials: async () => undefined });
    expect(await client.hasManifest({ host: server.host, repository: "team/reg" }, digest)).toBe(false);
    client.close();
    expect((await signature()).status).toBe(404);
  });

  it("a tag is refused, and the command tells what it names", async () => {
    const { stdout } = await ok(project, ["image", "digest", `${server.host}/base/data:v1`]);
    expect(stdout.trim()).toBe(`${server.host}/base/data@sha256:${base}`);
  });
});

/** An ordinary image with one gzip layer, tagged v1. @returns digest of its manifest. */
async function pushBase(host: string): Promise<string> {
  const folder = join(process.env.TMPDIR ?? "/tmp", `sf-base-${process.pid}`);
  mkdirSync(folder, { recursive: true });
  const tar = execFileSync("sh", [
    "-c",
    'cd "$1" && printf "from the registry" > base.txt && tar -cf - base.txt',
    "sh",
    folder,
  ]);
  rmSync(folder, { recursive: true });
  const put = async (bytes: Buffer) => {
    const started = await fetch(`http://${host}/v2/base/data/blobs/uploads/`, { method: "POST" });
    const place = `${started.headers.get("location")}&digest=sha256:${sha256hex(bytes)}`;
    const headers = { "content-type": "application/octet-stream" };
    expect((await fetch(place, { method: "PUT", body: bytes, headers })).status).toBe(201);
    return { digest: `sha256:${sha256hex(bytes)}`, size: bytes.length };
  };
  const layer = gzipSync(tar);
  const config = Buffer.from(
    JSON.stringify({
      os: "linux",
      architecture: "amd64",
      rootfs: { type: "layers", diff_ids: [`sha256:${sha256hex(tar)}`] },
    }),
  );
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MEDIA.manifest,
      config: { mediaType: MEDIA.config, ...(await put(config)) },
      layers: [{ mediaType: MEDIA.layerGzip, ...(await put(layer)) }],
    }),
  );
  const answer = await fetch(`http://${host}/v2/base/data/manifests/v1`, {
    method: "PUT",
    body: manifest,
    headers: { "content-type": MEDIA.manifest },
  });
  expect(answer.status).toBe(201);
  return sha256hex(manifest);
}

import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import * as path from "node:path";
import { digestSource, type ImageSource, removeSealedImage, SOURCE_ANNOTATION, sealImage } from "../../../owner/image";
import { sha256hex } from "../../../protocol/crypto";
import { fingerprint, namespaceOf } from "../../../protocol/keys";
import {
  blobOf,
  folderWith,
  manifestOf,
  openLayers,
  ownerPublicKey,
  removeTempFolders,
  root,
  smallRunnerLayer,
  tarOf,
  tempFolder,
  unpack,
  writeLayout,
} from "./support";

afterAll(removeTempFolders);

const PLANTED = "planted-4d1f0b7c-string";

async function seal(source: ImageSource, changes: { name?: string; layoutDir?: string; root?: typeof root } = {}) {
  const layoutDir = changes.layoutDir ?? path.join(tempFolder(), "layout");
  const runnerLayer = await smallRunnerLayer();
  const sealed = await sealImage({ name: "train", source, root, ownerPublicKey, runnerLayer, ...changes, layoutDir });
  return { sealed, layoutDir };
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name));
}

describe("a folder", () => {
  const source = (files: Record<string, string>): ImageSource => ({ kind: "folder", path: folderWith(files) });

  test("comes out of the sealed layers as it went in, under /app, above runner and owner's key", async () => {
    const folder = folderWith({ "main.js": "code", "lib/a.txt": "a", "node_modules/x/index.js": "x", "run.sh": "#!" });
    chmodSync(path.join(folder, "run.sh"), 0o711);
    symlinkSync("../lib/a.txt", path.join(folder, "node_modules/link"));
    const { sealed, layoutDir } = await seal({ kind: "folder", path: folder });
    const layers = openLayers(layoutDir, sealed);
    expect(layers).toHaveLength(3);
    expect([...(await unpack(layers[0] as Buffer)).keys()]).toContain("sealflow/runner.js");
    const owner = (await unpack(layers[1] as Buffer)).get("sealflow-owner/owner.json")?.content.toString();
    expect(JSON.parse(owner ?? "")).toEqual({ v: 1, ownerPublicKey });
    const members = await unpack(layers[2] as Buffer);
    expect([...members.keys()]).toEqual(
      [
        "app",
        "app/lib",
        "app/lib/a.txt",
        "app/main.js",
        "app/node_modules",
        "app/node_modules/link",
        "app/node_modules/x",
        "app/node_modules/x/index.js",
        "app/run.sh",
        ".sealflow-salt",
      ].map((name) =>
        ["app", "app/lib", "app/node_modules", "app/node_modules/x"].includes(name) ? `${name}/` : name,
      ),
    );
    expect(members.get("app/main.js")?.content.toString()).toBe("code");
    expect(members.get("app/main.js")?.header).toMatchObject({ mode: 0o644, uid: 0, gid: 0, mtime: new Date(0) });
    expect(members.get("app/run.sh")?.header.mode).toBe(0o755);
    expect(members.get("app/node_modules/link")?.header).toMatchObject({ type: "symlink", linkname: "../lib/a.txt" });
    expect(members.get(".sealflow-salt")?.content).toHaveLength(32);
    expect(sealed.reference).toBe(`${namespaceOf(fingerprint(root))}.sealflow.local/train@sha256:${sealed.digest}`);
    expect(sealed.size).toBeGreaterThanOrEqual(layers.reduce((sum, layer) => sum + layer.length, 0));
    expect(sealed.config).toEqual({ env: [], entrypoint: [], cmd: [], workingDir: "" });
  });

  test("gives the same image whatever its times, owners, file modes and order of creation", async () => {
    const a = folderWith({ "a.txt": "1", "b/c.txt": "2" });
    const b = folderWith({ "b/c.txt": "2", "a.txt": "1" });
    chmodSync(path.join(b, "a.txt"), 0o600);
    chmodSync(path.join(b, "b"), 0o700);
    utimesSync(path.join(b, "a.txt"), 1, 1);
    const first = await seal({ kind: "folder", path: a });
    const second = await seal({ kind: "folder", path: b });
    expect(second.sealed).toEqual(first.sealed);
    expect(
      filesBelow(second.layoutDir)
        .map((f) => path.basename(f))
        .sort(),
    ).toEqual(
      filesBelow(first.layoutDir)
        .map((f) => path.basename(f))
        .sort(),
    );
    expect(readFileSync(path.join(second.layoutDir, "index.json"))).toEqual(
      readFileSync(path.join(first.layoutDir, "index.json")),
    );
  });

  test.each([
    ["content", { "a.txt": "2" }],
    ["a name", { "b.txt": "1" }],
    ["another file", { "a.txt": "1", "b.txt": "" }],
  ])("gives another image, key and source digest when %s changes", async (_what, files) => {
    const before = await seal(source({ "a.txt": "1" }));
    const after = await seal(source(files as Record<string, string>));
    expect(after.sealed.digest).not.toBe(before.sealed.digest);
    expect(after.sealed.kekId).not.toBe(before.sealed.kekId);
    expect(after.sealed.sourceDigest).not.toBe(before.sealed.sourceDigest);
  });

  test("gives other layers under another root, another generation or another name, of the same source digest", async () => {
    const folder = source({ "a.txt": "1" });
    const made = await Promise.all([
      seal(folder),
      seal(folder, { root: { ...root, secret: new Uint8Array(32).fill(8) } }),
      seal(folder, { root: { ...root, generation: 2 } }),
      seal(folder, { name: "test" }),
    ]);
    const layers = made.map(({ sealed, layoutDir }) => manifestOf(layoutDir, sealed).layers[2]?.digest);
    expect(new Set(layers).size).toBe(4);
    expect(new Set(made.map(({ sealed }) => sealed.kekId)).size).toBe(4);
    expect(new Set(made.map(({ sealed }) => sealed.sourceDigest)).size).toBe(1);
  });

  test("has the source digest that a preview computes without a root", async () => {
    const folder = source({ "a.txt": "1" });
    expect(await digestSource(folder)).toBe((await seal(folder)).sealed.sourceDigest);
  });

  test("leaves no trace of its content, names or labels in the layout, and a diff_id that confirms no guess", async () => {
    const layer = await tarOf([{ name: `${PLANTED}.txt`, content: PLANTED.repeat(100) }]);
    const labels = {
      config: { Labels: { [PLANTED]: PLANTED }, Env: [`X=${PLANTED}`], Cmd: [PLANTED] },
      author: PLANTED,
    };
    const base = writeLayout({ layers: [layer], config: { ...labels, history: [{ created_by: PLANTED }] } });
    const folder = folderWith({ [`${PLANTED}/f`]: PLANTED });
    const { sealed, layoutDir } = await seal({ kind: "folder", path: folder, base });
    for (const file of filesBelow(layoutDir)) expect(readFileSync(file).includes(PLANTED)).toBe(false);
    expect(sealed.config).toEqual({ env: [`X=${PLANTED}`], entrypoint: [], cmd: [PLANTED], workingDir: "" });
    const config = JSON.parse(readFileSync(blobOf(layoutDir, manifestOf(layoutDir, sealed).config.digest), "utf8"));
    expect(Object.keys(config).sort()).toEqual(["architecture", "os", "rootfs"]);
    expect(config.rootfs.diff_ids).not.toContain(`sha256:${sha256hex(layer)}`);
  });

  test("is kept private on disk", async () => {
    const { layoutDir } = await seal(source({ "a.txt": "1" }));
    for (const file of filesBelow(layoutDir)) {
      if (!file.endsWith((await smallRunnerLayer()).digest)) expect(statSync(file).mode & 0o077).toBe(0);
    }
    expect(filesBelow(layoutDir).filter((file) => file.endsWith(".tmp"))).toEqual([]);
  });

  test("that is sealed again is recognised; one that lost a layer, or has a cut one, is sealed anew", async () => {
    const folder = source({ "a.txt": "1" });
    const { sealed, layoutDir } = await seal(folder);
    expect(sealed.reused).toBe(false);
    expect((await seal(folder, { layoutDir })).sealed).toEqual({ ...sealed, reused: true });
    const layer = blobOf(layoutDir, manifestOf(layoutDir, sealed).layers[2]?.digest ?? "");
    writeFileSync(layer, readFileSync(layer).subarray(1));
    expect((await seal(folder, { layoutDir })).sealed).toEqual(sealed);
    openLayers(layoutDir, sealed);
  });

  test("that is sealed again is recognised without sealing it, by a mark that only the root can make", async () => {
    const base = writeLayout({ layers: [await tarOf([{ name: "a", content: "a".repeat(5000) }])], compress: false });
    const image: ImageSource = { kind: "oci-layout", path: base };
    const { sealed, layoutDir } = await seal(image);
    const index = path.join(layoutDir, "index.json");
    const written = readFileSync(index, "utf8");
    const remark = (change: (mark: string) => string | undefined) => {
      const value = JSON.parse(written);
      for (const { annotations } of value.manifests)
        annotations[SOURCE_ANNOTATION] = change(annotations[SOURCE_ANNOTATION]);
      writeFileSync(index, JSON.stringify(value));
    };
    expect((await seal(image, { layoutDir })).sealed).toEqual({ ...sealed, reused: true });
    // Without a mark, or with a wrong one, the image is sealed again, and comes out the same.
    for (const change of [() => undefined, (mark: string) => mark.replace(/^./, (c) => (c === "0" ? "1" : "0"))]) {
      remark(change);
      expect((await seal(image, { layoutDir })).sealed).toEqual({ ...sealed, reused: true });
      expect(readFileSync(index, "utf8")).toBe(written);
    }
    // Somebody lets the mark stand at another image: that one is not taken for this source's.
    const other = await seal(source({ "b.txt": "2" }), { layoutDir });
    const value = JSON.parse(readFileSync(index, "utf8"));
    const mark = JSON.parse(written).manifests[0].annotations[SOURCE_ANNOTATION];
    for (const entry of value.manifests) entry.annotations[SOURCE_ANNOTATION] = mark;
    value.manifests = value.manifests.filter((m: { digest: string }) => m.digest.endsWith(other.sealed.digest));
    writeFileSync(index, JSON.stringify(value));
    expect((await seal(image, { layoutDir })).sealed.digest).toBe(sealed.digest);
    // Another source, another root, another name: none is the marked one.
    const changed = writeLayout({ layers: [await tarOf([{ name: "a", content: "b".repeat(5000) }])], compress: false });
    expect((await seal({ kind: "oci-layout", path: changed }, { layoutDir })).sealed.reused).toBe(false);
    expect((await seal(image, { layoutDir, root: { ...root, generation: 2 } })).sealed.reused).toBe(false);
    expect((await seal(image, { layoutDir, name: "test" })).sealed.reused).toBe(false);
  });

  test("of an OCI layout that is sealed already is not read again", async () => {
    const plain = await tarOf([{ name: "a", content: "a".repeat(5000) }]);
    const image: ImageSource = { kind: "oci-layout", path: writeLayout({ layers: [plain], compress: false }) };
    const { sealed, layoutDir } = await seal(image);
    rmSync(blobOf(image.path, sha256hex(plain)));
    expect((await seal(image, { layoutDir })).sealed).toEqual({ ...sealed, reused: true });
    // Somewhere else it is needed, and so it is for a preview of what sealing would refuse.
    await expect(seal(image)).rejects.toMatchObject({ code: "OCI_FORM" });
    await expect(digestSource(image)).rejects.toMatchObject({ code: "OCI_FORM" });
  });

  test("of an OCI layout whose layer is not what it says is refused by sealing and by a preview, and leaves nothing", async () => {
    const plain = await tarOf([{ name: "a", content: "a".repeat(5000) }]);
    const base = writeLayout({ layers: [plain], compress: false });
    const blob = blobOf(base, sha256hex(plain));
    const bytes = readFileSync(blob);
    bytes[1000] = (bytes[1000] as number) ^ 1;
    writeFileSync(blob, bytes);
    const image: ImageSource = { kind: "oci-layout", path: base };
    const layoutDir = path.join(tempFolder(), "layout");
    await expect(seal(image, { layoutDir })).rejects.toMatchObject({ code: "OCI_FORM" });
    expect(filesBelow(layoutDir)).toEqual([]);
    await expect(digestSource(image)).rejects.toMatchObject({ code: "OCI_FORM" });
  });

  test("lies beside other versions in one layout, and removing one leaves the others whole", async () => {
    const first = await seal(source({ "a.txt": "1" }));
    const { layoutDir } = first;
    const second = await seal(source({ "a.txt": "2" }), { layoutDir });
    await removeSealedImage(layoutDir, first.sealed.digest);
    openLayers(layoutDir, second.sealed);
    expect(() => openLayers(layoutDir, first.sealed)).toThrow("ENOENT");
    expect(readdirSync(path.join(layoutDir, "blobs/sha256"))).toHaveLength(5);
    await removeSealedImage(layoutDir, second.sealed.digest);
    expect(() => statSync(layoutDir)).toThrow("ENOENT");
    await removeSealedImage(layoutDir, second.sealed.digest);
  });

  test("removing one beside a damaged one keeps the damaged one's blobs; into a damaged index nothing is sealed", async () => {
    const first = await seal(source({ "a.txt": "1" }));
    const { layoutDir } = first;
    const second = await seal(source({ "a.txt": "2" }), { layoutDir });
    writeFileSync(blobOf(layoutDir, second.sealed.digest), "{}");
    const blobs = readdirSync(path.join(layoutDir, "blobs/sha256"));
    await removeSealedImage(layoutDir, first.sealed.digest);
    expect(readdirSync(path.join(layoutDir, "blobs/sha256"))).toEqual(blobs);
    expect((await seal(source({ "a.txt": "2" }), { layoutDir })).sealed).toEqual(second.sealed);
    writeFileSync(path.join(layoutDir, "index.json"), "{");
    await expect(seal(source({ "a.txt": "3" }), { layoutDir })).rejects.toMatchObject({
      code: "IMAGE_LAYOUT",
      message: expect.stringContaining("delete the folder"),
    });
  });

  test("two images at once into one layout are both in its index", async () => {
    const layoutDir = path.join(tempFolder(), "layout");
    const made = await Promise.all(["1", "2", "3"].map((text) => seal(source({ "a.txt": text }), { layoutDir })));
    for (const { sealed } of made) openLayers(layoutDir, sealed);
    expect(JSON.parse(readFileSync(path.join(layoutDir, "index.json"), "utf8")).manifests).toHaveLength(3);
  });

  test("reports progress, and stops when it is told to", async () => {
    const lines: string[] = [];
    const folder = source({ "a.txt": "1" });
    const options = { name: "train", source: folder, root, ownerPublicKey, runnerLayer: await smallRunnerLayer() };
    await sealImage({ ...options, layoutDir: tempFolder(), onProgress: (line) => lines.push(line) });
    expect(lines).toEqual(["reading layer 1/1: 0 MiB", "encrypting layer 1/1: 0 MiB"]);
    const layoutDir = tempFolder();
    await expect(sealImage({ ...options, layoutDir, signal: AbortSignal.abort(new Error("enough")) })).rejects.toThrow(
      "enough",
    );
    expect(filesBelow(layoutDir)).toEqual([]);
  });
});

describe("one flipped byte", () => {
  test("of any sealed layer is an HMAC error; of another root's key, no key", async () => {
    const { sealed, layoutDir } = await seal({ kind: "folder", path: folderWith({ "a.txt": "1" }) });
    const layer = blobOf(layoutDir, manifestOf(layoutDir, sealed).layers[2]?.digest ?? "");
    const good = readFileSync(layer);
    for (let at = 0; at < good.length; at += 97) {
      const bad = Buffer.from(good);
      bad[at] = (bad[at] as number) ^ 1;
      writeFileSync(layer, bad);
      expect(() => openLayers(layoutDir, sealed)).toThrow(expect.objectContaining({ code: "LAYER_AUTH" }));
    }
    writeFileSync(layer, good);
    openLayers(layoutDir, sealed);
    expect(() => openLayers(layoutDir, sealed, { ...root, generation: 2 })).toThrow(
      expect.objectContaining({ code: "LAYER_KEY" }),
    );
  });
});

describe("a base layout", () => {
  test("keeps its layers byte for byte but for the salt at their end, below the folder, gzip or not", async () => {
    const lower = await tarOf([
      { name: "etc/passwd", content: "root", mode: 0o600, uid: 5, mtime: new Date(1e12) },
      { name: "x", pax: { "SCHILY.xattr.user.note": "kept" } },
    ]);
    const upper = await tarOf([{ name: "usr/bin", type: "directory" }]);
    for (const compress of [true, false]) {
      const base = writeLayout({
        layers: [lower, upper],
        compress,
        config: { config: { WorkingDir: "/w", Env: ["A=1"] } },
      });
      const folder = folderWith({ "main.js": "m" });
      const { sealed, layoutDir } = await seal({ kind: "folder", path: folder, base, prefix: "/srv/app" });
      const layers = openLayers(layoutDir, sealed);
      for (const [i, tar] of [lower, upper].entries()) {
        const layer = layers[2 + i] as Buffer;
        expect(Buffer.concat([layer.subarray(0, tar.length - 1024), layer.subarray(tar.length)])).toEqual(tar);
        expect([...(await unpack(layer)).keys()].at(-1)).toBe(".sealflow-salt");
      }
      expect([...(await unpack(layers[4] as Buffer)).keys()]).toEqual([
        "srv/app/",
        "srv/app/main.js",
        ".sealflow-salt",
      ]);
      expect(sealed.config).toEqual({ env: ["A=1"], entrypoint: [], cmd: [], workingDir: "/w" });
    }
  });

  test("can be sealed alone, and only by the ref that it has", async () => {
    const base = writeLayout({ layers: [await tarOf([{ name: "a", content: "a" }])] });
    const { sealed, layoutDir } = await seal({ kind: "oci-layout", path: base });
    expect(openLayers(layoutDir, sealed)).toHaveLength(3);
    await expect(seal({ kind: "oci-layout", path: base, ref: "v1" })).rejects.toMatchObject({ code: "OCI_REF" });
  });

  test("of another platform is refused; of an index the right platform is taken", async () => {
    const layers = [await tarOf([{ name: "a", content: "a" }])];
    const arm = writeLayout({ layers, config: { architecture: "arm64" } });
    await expect(seal({ kind: "oci-layout", path: arm })).rejects.toMatchObject({
      code: "IMAGE_PLATFORM",
      message: expect.stringContaining("linux/arm64"),
    });
    const amd = writeLayout({ layers });
    const [entry] = JSON.parse(readFileSync(path.join(amd, "index.json"), "utf8")).manifests;
    const inner = Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        manifests: [
          { ...entry, platform: { os: "linux", architecture: "amd64" } },
          { ...entry, digest: `sha256:${"0".repeat(64)}`, platform: { os: "linux", architecture: "arm64" } },
          { ...entry, digest: `sha256:${"1".repeat(64)}`, platform: { os: "unknown", architecture: "unknown" } },
        ],
      }),
    );
    writeFileSync(blobOf(amd, sha256hex(inner)), inner);
    const outer = {
      mediaType: "application/vnd.oci.image.index.v1+json",
      digest: `sha256:${sha256hex(inner)}`,
      size: inner.length,
    };
    writeFileSync(path.join(amd, "index.json"), JSON.stringify({ schemaVersion: 2, manifests: [outer] }));
    const { sealed, layoutDir } = await seal({ kind: "oci-layout", path: amd });
    expect(openLayers(layoutDir, sealed)).toHaveLength(3);
  });
});

describe("hostile sources", () => {
  const layerOf = async (members: Parameters<typeof tarOf>[0]) => {
    const base = writeLayout({ layers: [await tarOf(members)] });
    return seal({ kind: "oci-layout", path: base });
  };

  test.each<[string, Parameters<typeof tarOf>[0]]>([
    ["replaces the runner", [{ name: "sealflow/runner.js", content: "evil" }]],
    [
      "replaces it under another spelling",
      [{ name: "./x/..//sealflow/lib/ld.so" }].map((m) => ({ ...m, name: "././/sealflow/lib/ld.so" })),
    ],
    ["replaces the owner's key", [{ name: "sealflow-owner/owner.json", content: "{}" }]],
    ["replaces its folder by a link", [{ name: "sealflow", type: "symlink", linkname: "/evil" }]],
    ["deletes it", [{ name: ".wh.sealflow" }]],
    ["deletes a file of it", [{ name: "sealflow/.wh.runner.js" }]],
    ["deletes everything below", [{ name: ".wh..wh..opq" }]],
    [
      "writes through a link to the root",
      [{ name: "a", type: "symlink", linkname: "/" }, { name: "a/sealflow/runner.js" }],
    ],
    [
      "writes through two links",
      [
        { name: "usr/b", type: "symlink", linkname: "../c" },
        { name: "c", type: "symlink", linkname: "sealflow" },
        { name: "usr/b/runner.js" },
      ],
    ],
    ["makes a hard link to it", [{ name: "x", type: "link", linkname: "sealflow/runner.js" }]],
    ["has the loader put a library into every process", [{ name: "etc/ld.so.preload", content: "/app/evil.so" }]],
    [
      "does so where a later link will lead",
      [
        { name: "x/ld.so.preload", content: "/app/evil.so" },
        { name: "etc", type: "symlink", linkname: "x" },
      ],
    ],
    [
      "writes through a second name of a link",
      [
        { name: "a", type: "symlink", linkname: "/" },
        { name: "b", type: "link", linkname: "a" },
        { name: "b/sealflow/runner.js" },
      ],
    ],
  ])("a base layer that %s is refused with IMAGE_RESERVED", async (_what, members) => {
    await expect(layerOf(members)).rejects.toMatchObject({ code: "IMAGE_RESERVED" });
  });

  test("a link in one base layer and a file behind it in the next are refused too", async () => {
    const base = writeLayout({
      layers: [
        await tarOf([{ name: "a", type: "symlink", linkname: "./sealflow" }]),
        await tarOf([{ name: "a/runner.js", content: "evil" }]),
      ],
    });
    await expect(seal({ kind: "oci-layout", path: base })).rejects.toMatchObject({ code: "IMAGE_RESERVED" });
  });

  type Members = Parameters<typeof tarOf>[0];
  const layersOf = async (...layers: Members[]) =>
    seal({ kind: "oci-layout", path: writeLayout({ layers: await Promise.all(layers.map(tarOf)) }) });
  const link = (name: string, linkname: string) => ({ name, linkname, type: "symlink" }) as const;

  // A guest unpacks each layer into a folder of its own, so p is no link there, and p/d leads to the layer's root.
  test.each<[string, ...Members[]]>([
    ["a link of a layer below", [link("p", "a/b/q")], [link("p/d", ".."), { name: "p/d/sealflow/lib/ld.so" }]],
    [
      "two links of which a check by resolving sees one",
      [link("p", "q")],
      [link("p/d", ".."), link("q/d", "."), { name: "p/d/sealflow/runner.js" }],
    ],
    [
      "a link, although a folder comes over it in its layer",
      [link("a", "b"), { name: "a", type: "directory" }, { name: "a/x" }],
    ],
    ["a second name of a link", [link("a", "b"), { name: "c", type: "link", linkname: "a" }, { name: "c/x" }]],
    ["a link, to delete", [link("a", "b")], [{ name: "a/.wh.x" }]],
    ["a link, to hide a folder", [link("a", "b")], [{ name: "a/.wh..wh..opq" }]],
    [
      "a link, with the target of a hard link",
      [link("a", "b"), { name: "b/x" }, { name: "y", type: "link", linkname: "a/x" }],
    ],
  ])("an entry behind %s is refused", async (_what, ...layers) => {
    await expect(layersOf(...layers)).rejects.toMatchObject({
      code: "IMAGE_LAYER",
      message: expect.stringMatching(/lies behind the link/),
    });
  });

  test("a link that a later layer replaces by a folder is none any more, unless it led to the runner", async () => {
    const folder = [{ name: "a", type: "directory" }] as const;
    const { sealed } = await layersOf([link("a", "b")], [...folder, { name: "a/x" }]);
    expect(sealed.digest).toMatch(/^[0-9a-f]{64}$/);
    await expect(layersOf([link("a", ".")], [...folder, { name: "a/sealflow/x" }])).rejects.toMatchObject({
      code: "IMAGE_RESERVED",
    });
  });

  // Runtimes follow links of an image to the places of their mounts: files of the host would lie over the runner's.
  test.each<[string, ...Members[]]>([
    ["the hosts file would lie over the runner", [link("etc/hosts", "/sealflow/runner.js")]],
    ["resolv.conf would lie over the loader", [link("etc/resolv.conf", "../../sealflow/lib/ld.so")]],
    ["the host name would be the owner's key", [link("etc/hostname", "./..//sealflow-owner/owner.json")]],
    ["the hosts file would name libraries to load", [link("etc/hosts", "ld.so.preload")]],
    ["/proc would be the image's", [link("proc", "sys/class/net/lo/../../../../fs/../../fake")]],
    ["/dev would be the image's", [link("x", "/"), { name: "dev", type: "link", linkname: "x" }]],
    ["what a program writes would name libraries to load", [link("etc", "/sealflow/scratch/out")]],
    ["a later link would lead there", [link("etc/hosts", "x/sealflow/runner.js")], [link("etc/x", "/")]],
    [
      "a second name of a link would lead there",
      [link("a/b", "../sealflow/x"), { name: "b", type: "link", linkname: "a/b" }],
    ],
  ])("a link with which %s is refused", async (_what, ...layers) => {
    await expect(layersOf(...layers)).rejects.toMatchObject({ code: "IMAGE_RESERVED" });
  });

  test("links to what merely has the runner's name are content", async () => {
    const { sealed } = await layersOf([
      link("app/node_modules/.bin/sealflow", "../sealflow/bin/sealflow.js"),
      link("lib/sealflow.so", "sealflow.so.1"),
      link("etc/resolv.conf", "../run/systemd/resolve/stub-resolv.conf"),
      link("etc/mtab", "/proc/mounts"),
    ]);
    expect(sealed.digest).toMatch(/^[0-9a-f]{64}$/);
  });

  test("a refusal quotes a hostile name", async () => {
    const refused = layersOf([{ name: "sealflow/\u001b]0;title\u0007" }]);
    await expect(refused).rejects.toMatchObject({
      code: "IMAGE_RESERVED",
      message: expect.not.stringMatching(/\p{Cc}/u),
    });
  });

  test.each<[string, Parameters<typeof tarOf>[0], string]>([
    ["deletes itself", [{ name: "a/.wh." }], "IMAGE_LAYER"],
    ["deletes its own folder", [{ name: "a/.wh.." }], "IMAGE_LAYER"],
    ["deletes the folder above", [{ name: ".wh..." }], "IMAGE_LAYER"],
    ["leaves the image", [{ name: "../etc/passwd" }], "IMAGE_LAYER"],
    ["has our salt's name", [{ name: ".sealflow-salt" }], "IMAGE_LAYER"],
    [
      "lies behind a loop of links",
      [{ name: "a", type: "symlink", linkname: "b" }, { name: "b", type: "symlink", linkname: "a" }, { name: "a/x" }],
      "IMAGE_LAYER",
    ],
  ])("a base layer that %s is refused", async (_what, members, code) => {
    await expect(layerOf(members)).rejects.toMatchObject({ code });
  });

  test("names that merely look like the runner's are content", async () => {
    const { sealed } = await layerOf([{ name: "usr/sealflow/x" }, { name: "sealflow.txt" }, { name: "etc/.wh.x" }]);
    expect(sealed.digest).toMatch(/^[0-9a-f]{64}$/);
  });

  const plain = () => tarOf([{ name: "a", content: "a".repeat(5000) }]);

  test.each([
    ["zstd", "application/vnd.oci.image.layer.v1.tar+zstd", /zstd.*gzip/],
    ["encryption", "application/vnd.oci.image.layer.v1.tar+gzip+encrypted", /encrypted already/],
    ["something unknown", "application/x-evil", /application\/x-evil/],
  ])("a base layer with %s is refused by name", async (_what, mediaType, message) => {
    const base = writeLayout({ layers: [await plain()], mediaType });
    await expect(seal({ kind: "oci-layout", path: base })).rejects.toMatchObject({
      code: "OCI_UNSUPPORTED",
      message: expect.stringMatching(message),
    });
  });

  test("a base blob with a flipped byte, a missing one, a false diff_id, no tar and no gzip are refused", async () => {
    const layers = [await plain()];
    const layoutWith = (change: (blob: string) => void) => {
      const base = writeLayout({ layers });
      const { layers: stored } = manifestOf(base, { digest: firstDigest(base) } as never);
      change(blobOf(base, stored[0]?.digest ?? ""));
      return seal({ kind: "oci-layout", path: base });
    };
    const flipped = layoutWith((blob) => {
      const bytes = readFileSync(blob);
      bytes[bytes.length - 1] = (bytes[bytes.length - 1] as number) ^ 1;
      writeFileSync(blob, bytes);
    });
    await expect(flipped).rejects.toMatchObject({ code: expect.stringMatching(/^(OCI_FORM|IMAGE_LAYER)$/) });
    await expect(layoutWith((blob) => rmSync(blob))).rejects.toMatchObject({ code: "OCI_FORM" });
    const falseId = writeLayout({ layers, diffIds: [`sha256:${"0".repeat(64)}`] });
    await expect(seal({ kind: "oci-layout", path: falseId })).rejects.toMatchObject({ code: "IMAGE_LAYER" });
    const noTar = writeLayout({ layers: [Buffer.alloc(2000, 1)] });
    await expect(seal({ kind: "oci-layout", path: noTar })).rejects.toMatchObject({ code: "IMAGE_LAYER" });
    const cut = writeLayout({ layers: [layers[0]?.subarray(0, 700) as Buffer] });
    await expect(seal({ kind: "oci-layout", path: cut })).rejects.toMatchObject({ code: "IMAGE_LAYER" });
    const noGzip = writeLayout({ layers, compress: false, mediaType: "application/vnd.oci.image.layer.v1.tar+gzip" });
    await expect(seal({ kind: "oci-layout", path: noGzip })).rejects.toMatchObject({ code: "IMAGE_LAYER" });
  });

  const firstDigest = (folder: string): string =>
    JSON.parse(readFileSync(path.join(folder, "index.json"), "utf8")).manifests[0].digest.slice("sha256:".length);

  test("a folder that changes between the two passes is refused and leaves nothing in the layout", async () => {
    const folder = folderWith({ "a.txt": "1" });
    const layoutDir = path.join(tempFolder(), "layout");
    const onProgress = (line: string) => {
      if (line.startsWith("encrypting")) writeFileSync(path.join(folder, "a.txt"), "2");
    };
    const source: ImageSource = { kind: "folder", path: folder };
    const runnerLayer = await smallRunnerLayer();
    await expect(
      sealImage({ name: "train", source, root, ownerPublicKey, runnerLayer, layoutDir, onProgress }),
    ).rejects.toMatchObject({ code: "IMAGE_CHANGED" });
    expect(filesBelow(layoutDir).filter((file) => file.endsWith(".tmp") || file.endsWith("index.json"))).toEqual([]);
  });

  test.each(["app", "", "/a/../b", "/a//b"])("the prefix %j is refused", async (prefix) => {
    const source: ImageSource = { kind: "folder", path: folderWith({ a: "" }), prefix };
    await expect(seal(source)).rejects.toMatchObject({ code: "IMAGE_PREFIX" });
  });

  test("a prefix inside the runner's folder is refused", async () => {
    const source: ImageSource = { kind: "folder", path: folderWith({ a: "" }), prefix: "/sealflow/bin" };
    await expect(seal(source)).rejects.toMatchObject({ code: "IMAGE_RESERVED" });
  });

  test("missing and wrong places are named", async () => {
    const folder = tempFolder();
    mkdirSync(path.join(folder, "empty"));
    writeFileSync(path.join(folder, "file"), "");
    const cases: [Exclude<ImageSource, { kind: "registry" }>, string][] = [
      [{ kind: "folder", path: path.join(folder, "none") }, "SOURCE_MISSING"],
      [{ kind: "folder", path: path.join(folder, "file") }, "SOURCE_MISSING"],
      [{ kind: "oci-layout", path: path.join(folder, "none") }, "SOURCE_MISSING"],
      [{ kind: "oci-layout", path: path.join(folder, "file") }, "SOURCE_MISSING"],
      [{ kind: "oci-layout", path: path.join(folder, "empty") }, "OCI_FORM"],
    ];
    for (const [source, code] of cases) {
      await expect(seal(source)).rejects.toMatchObject({ code, message: expect.stringContaining(source.path) });
    }
    await expect(seal({ kind: "folder", path: folder }, { name: "No Name" })).rejects.toMatchObject({
      code: "IMAGE_NAME",
    });
  });
});

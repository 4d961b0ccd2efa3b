/**
 * Sealing an image of several layers, beside Debian's skopeo doing the same work: OCI layout to OCI layout, layers
 * encrypted, key wrapped for a public key. SEALFLOW_BENCH_IMAGE_BYTES changes the size (default 1 GiB).
 */
import { execFileSync, spawnSync } from "node:child_process";
import { createHash, generateKeyPairSync, randomFillSync } from "node:crypto";
import { closeSync, mkdirSync, mkdtempSync, openSync, renameSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Figure, figure } from "../figure";
import { program } from "../support/child";

const MIB = 2 ** 20;
const BYTES = Number(process.env.SEALFLOW_BENCH_IMAGE_BYTES ?? 1024 * MIB);
const LAYERS = 4;
const TIMES_SKOPEO = 4;
const MEMORY_MIB = 200;
const AGAIN_SECONDS = 1;

export async function sealing(say: (line: string) => void): Promise<Figure[]> {
  const dir = mkdtempSync(join(tmpdir(), "sealflow-seal-"));
  const sealer = program("bench/run/seal-image.ts");
  try {
    say(`image: writing ${LAYERS} layers of ${BYTES / LAYERS / MIB} MiB`);
    const source = join(dir, "source");
    const read = writeImage(source);
    const runner = join(dir, "runner.tar");
    const { digest, size } = writeTar(runner, "sealflow/bin/node", MIB);
    const seal = (target: string) =>
      sealer.run<{ seconds: number; reused: boolean; rss: number }>(
        source,
        join(dir, target),
        runner,
        digest,
        String(size),
      );
    read();
    say("image: sealing");
    const first = await seal("sealed");
    const again = await seal("sealed");
    if (first.reused || !again.reused) throw new Error("the second sealing did not find the first one's image");
    const figures = [
      figure({
        name: "peak memory of sealing it",
        value: first.rss / MIB,
        unit: "MiB",
        against: MEMORY_MIB,
        atMost: MEMORY_MIB,
      }),
      figure({
        name: "sealing it again, unchanged",
        value: again.seconds,
        unit: "s",
        against: AGAIN_SECONDS,
        atMost: AGAIN_SECONDS,
      }),
    ];
    rmSync(join(dir, "sealed"), { recursive: true });
    read();
    const name = `sealing an image of ${BYTES / MIB} MiB, ${LAYERS} layers, beside skopeo`;
    const theirs = skopeo(source, dir, say);
    if (theirs === undefined)
      return [figure({ name: `${name} (not installed)`, value: first.seconds, unit: "s" }), ...figures];
    const limit = Number((theirs / TIMES_SKOPEO).toPrecision(3));
    return [
      figure({ name, value: first.seconds, unit: "s", against: Number(theirs.toPrecision(3)), atMost: limit }),
      ...figures,
    ];
  } finally {
    sealer.remove();
    rmSync(dir, { recursive: true, force: true });
  }
}

/** @returns seconds; undefined when it is not installed. */
function skopeo(source: string, dir: string, say: (line: string) => void): number | undefined {
  if (spawnSync("skopeo", ["--version"]).status !== 0) return undefined;
  const { publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const key = join(dir, "public.pem");
  writeFileSync(key, publicKey.export({ type: "spki", format: "pem" }));
  say("image: skopeo copy --encryption-key");
  const started = performance.now();
  const args = [
    "copy",
    "--insecure-policy",
    "--encryption-key",
    `jwe:${key}`,
    `oci:${source}:latest`,
    `oci:${join(dir, "skopeo")}:latest`,
  ];
  execFileSync("skopeo", args, { stdio: ["ignore", "ignore", "inherit"] });
  return (performance.now() - started) / 1000;
}

/** An OCI layout whose layers do not compress. @returns reads all of it, so that nobody is measured with a cold disk. */
function writeImage(layout: string): () => void {
  const blobs = join(layout, "blobs", "sha256");
  mkdirSync(blobs, { recursive: true });
  const layers = Array.from({ length: LAYERS }, (_, i) => {
    const file = join(blobs, `layer-${i}`);
    const written = writeTar(file, `data/${i}`, Math.floor(BYTES / LAYERS));
    renameSync(file, join(blobs, written.digest));
    return written;
  });
  const blob = (value: object) => {
    const text = JSON.stringify(value);
    const digest = createHash("sha256").update(text).digest("hex");
    writeFileSync(join(blobs, digest), text);
    return { digest: `sha256:${digest}`, size: Buffer.byteLength(text) };
  };
  const diffs = layers.map(({ digest }) => `sha256:${digest}`);
  const config = blob({ architecture: "amd64", os: "linux", config: {}, rootfs: { type: "layers", diff_ids: diffs } });
  const type = (kind: string) => `application/vnd.oci.image.${kind}`;
  const manifest = blob({
    schemaVersion: 2,
    mediaType: type("manifest.v1+json"),
    config: { mediaType: type("config.v1+json"), ...config },
    layers: layers.map(({ digest, size }) => ({ mediaType: type("layer.v1.tar"), digest: `sha256:${digest}`, size })),
  });
  const annotations = { "org.opencontainers.image.ref.name": "latest" };
  const index = { schemaVersion: 2, manifests: [{ mediaType: type("manifest.v1+json"), ...manifest, annotations }] };
  writeFileSync(join(layout, "index.json"), JSON.stringify(index));
  writeFileSync(join(layout, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}');
  return () => execFileSync("sh", ["-c", `cat "$1"/* > /dev/null`, "sh", blobs]);
}

/** A tar of one file of random bytes. */
function writeTar(file: string, name: string, bytes: number): { digest: string; size: number } {
  const header = Buffer.alloc(512);
  const put = (text: string, at: number) => header.write(text, at, "latin1");
  const whole = Math.floor(bytes / 512) * 512;
  put(name, 0);
  put("0000644\0", 100);
  put("0000000\0", 108);
  put("0000000\0", 116);
  put(`${whole.toString(8).padStart(11, "0")}\0`, 124);
  put("00000000000\0", 136);
  put("        0", 148);
  put("ustar\x0000", 257);
  put(
    `${header
      .reduce((a, b) => a + b, 0)
      .toString(8)
      .padStart(6, "0")}\0 `,
    148,
  );
  const hash = createHash("sha256");
  const fd = openSync(file, "w");
  let size = 0;
  const add = (piece: Uint8Array) => {
    writeSync(fd, piece);
    hash.update(piece);
    size += piece.length;
  };
  add(header);
  const block = Buffer.alloc(MIB);
  for (let left = whole; left > 0; left -= block.length)
    add(randomFillSync(block).subarray(0, Math.min(left, block.length)));
  add(Buffer.alloc(1024));
  closeSync(fd);
  return { digest: hash.digest("hex"), size };
}

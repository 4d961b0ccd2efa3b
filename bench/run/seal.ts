/**
 * Sealing an image of several layers, beside Debian's skopeo doing the same work: OCI layout to OCI layout, layers
 * encrypted, key wrapped for a public key. Both use all cores; rounds of both take turns, medians count. SEALFLOW_BENCH_IMAGE_BYTES changes the size (default 1 GiB).
 */
import { execFileSync, spawnSync } from "node:child_process";
import { createHash, generateKeyPairSync, randomFillSync } from "node:crypto";
import { closeSync, mkdirSync, mkdtempSync, openSync, renameSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { type Figure, figure } from "../figure";
import { compiled } from "../support/child";
import { isBusy, median, opensslRate, type Spent, spentOn } from "../support/machine";

const MIB = 2 ** 20;
const BYTES = Number(process.env.SEALFLOW_BENCH_IMAGE_BYTES ?? 1024 * MIB);
const LAYERS = 4;
const TIMES_SKOPEO = 4;
const MEMORY_MIB = 200;
const AGAIN_SECONDS = 1;
const ROUNDS = 3;
/** Of the source (its own name, and with salt), of the ciphertext (its name), and in the HMAC. */
const SHA_PASSES = 3;
const CORES = availableParallelism();

export async function sealing(say: (line: string) => void): Promise<Figure[]> {
  const dir = mkdtempSync(join(tmpdir(), "sealflow-seal-"));
  // Compiled and not bundled: large layers are sealed in threads, which load a file of their own.
  const sealer = compiled("bench/run/seal-image.ts");
  const busy = isBusy();
  const by = busy ? `, CPU time over ${CORES} cores` : "";
  if (busy) say("the machine is busy: CPU time of all threads, spread over the cores, instead of the clock");
  const timeOf = ({ seconds, cpu }: Spent): number => (busy ? cpu / CORES : seconds);
  try {
    say(`image: writing ${LAYERS} layers of ${BYTES / LAYERS / MIB} MiB`);
    const source = join(dir, "source");
    const read = writeImage(source);
    const runner = join(dir, "runner.tar");
    const { digest, size } = writeTar(runner, "sealflow/bin/node", MIB);
    const target = join(dir, "sealed");
    const seal = () => sealer.run<Sealed>(source, target, runner, digest, String(size));
    const ours: Sealed[] = [];
    const again: Sealed[] = [];
    const theirs: Spent[] = [];
    for (let round = 1; round <= ROUNDS; round++) {
      say(`image: sealing, sealing again, skopeo copy --encryption-key; round ${round} of ${ROUNDS}`);
      rmSync(target, { recursive: true, force: true });
      read();
      ours.push(await seal());
      again.push(await seal());
      if (ours.at(-1)?.reused || !again.at(-1)?.reused)
        throw new Error("the second sealing did not find the first one's image");
      read();
      const copied = skopeo(source, dir);
      if (copied) theirs.push(copied);
    }
    const seconds = median(ours.map(timeOf));
    const passes = (SHA_PASSES * BYTES) / (opensslRate("sha256", busy) * 1e6) / CORES;
    const name = `sealing an image of ${BYTES / MIB} MiB, ${LAYERS} layers`;
    const peer = theirs.length > 0 ? Number(median(theirs.map(timeOf)).toPrecision(3)) : undefined;
    const limit = peer === undefined ? undefined : Number((peer / TIMES_SKOPEO).toPrecision(3));
    const limitAgain = { against: AGAIN_SECONDS, atMost: AGAIN_SECONDS };
    const peak = Math.max(...[...ours, ...again].map(({ rss }) => rss)) / MIB;
    return [
      peer === undefined || limit === undefined
        ? figure({ name: `${name} (skopeo is not installed)${by}`, value: seconds, unit: "s" })
        : figure({ name: `${name}, beside skopeo${by}`, value: seconds, unit: "s", against: peer, atMost: limit }),
      figure({
        name: `  the ${SHA_PASSES} SHA-256 passes that its formats demand, by openssl, over ${CORES} cores`,
        value: passes,
        unit: "s",
        against: Number(seconds.toPrecision(3)),
      }),
      figure({ name: "peak memory of sealing it", value: peak, unit: "MiB", against: MEMORY_MIB, atMost: MEMORY_MIB }),
      figure({ name: `sealing it again, unchanged${by}`, value: median(again.map(timeOf)), unit: "s", ...limitAgain }),
    ];
  } finally {
    sealer.remove();
    rmSync(dir, { recursive: true, force: true });
  }
}

interface Sealed extends Spent {
  readonly reused: boolean;
  readonly rss: number;
}

/** @returns undefined when it is not installed. */
function skopeo(source: string, dir: string): Spent | undefined {
  if (spawnSync("skopeo", ["--version"]).status !== 0) return undefined;
  const { publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const key = join(dir, "public.pem");
  writeFileSync(key, publicKey.export({ type: "spki", format: "pem" }));
  const target = join(dir, "skopeo");
  rmSync(target, { recursive: true, force: true });
  const flags = ["--insecure-policy", "--encryption-key", `jwe:${key}`];
  return spentOn("skopeo", ["copy", ...flags, `oci:${source}:latest`, `oci:${target}:latest`]);
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

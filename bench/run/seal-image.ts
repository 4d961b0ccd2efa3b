/** Seals an image in a process of its own: <source layout> <target layout> <runner layer> <its digest> <its size>. */
import { sealImage } from "../../owner/image";

async function main([source = "", target = "", layer = "", digest = "", size = ""]: string[]): Promise<void> {
  const started = performance.now();
  const { reused } = await sealImage({
    name: "bench",
    source: { kind: "oci-layout", path: source },
    root: { secret: new Uint8Array(32).fill(7), generation: 1 },
    ownerPublicKey: "A".repeat(43),
    runnerLayer: { path: layer, digest, size: Number(size) },
    layoutDir: target,
  });
  const seconds = (performance.now() - started) / 1000;
  const { user, system } = process.cpuUsage();
  const cpu = (user + system) / 1e6;
  process.stdout.write(JSON.stringify({ seconds, cpu, reused, rss: process.resourceUsage().maxRSS * 1024 }));
}

main(process.argv.slice(2)).catch((error: Error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});

/**
 * Seals layouts whose layers go through threads of their own, which load the same sources as this process. Arguments:
 * runner layer (JSON), then layouts. Prints for each what came of it.
 */
import { existsSync, mkdtempSync, readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sealImage } from "../../../owner/image";
import { ownerPublicKey, root } from "../image/support";

const [, , runner, ...sources] = process.argv as [string, string, string, ...string[]];

async function seal(source: string) {
  const stop = source.startsWith("stop:") ? new AbortController() : undefined;
  const layoutDir = join(mkdtempSync(join(tmpdir(), "sealflow-image-")), "layout");
  const lines: string[] = [];
  const options = {
    name: "train",
    source: { kind: "oci-layout" as const, path: source.replace("stop:", "") },
    root,
    ownerPublicKey,
    runnerLayer: JSON.parse(runner),
    layoutDir,
    onProgress: (line: string) => {
      lines.push(line);
      stop?.abort(new Error("enough"));
    },
    ...(stop ? { signal: stop.signal } : {}),
  };
  try {
    return { layoutDir, lines, sealed: await sealImage(options) };
  } catch (error) {
    const { name, code, message } = error as Error & { code?: string };
    const blobs = join(layoutDir, "blobs/sha256");
    return { layoutDir, lines, error: { name, code, message }, left: existsSync(blobs) ? readdirSync(blobs) : [] };
  }
}

async function main(): Promise<void> {
  const results: unknown[] = [];
  for (const source of sources) results.push(await seal(source));
  console.log(JSON.stringify(results));
}

void main();

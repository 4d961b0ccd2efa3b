/** Large layers of a layout are sealed side by side, in threads; jest has none that load TypeScript, so a child does it. */
import { execFileSync } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import * as path from "node:path";
import type { SealedImage } from "../../../owner/image";
import { sha256hex } from "../../../protocol/crypto";
import { blobOf, openLayers, removeTempFolders, smallRunnerLayer, tarOf, unpack, writeLayout } from "./support";

interface Outcome {
  readonly layoutDir: string;
  readonly lines: readonly string[];
  readonly sealed?: SealedImage;
  readonly error?: { readonly name: string; readonly code?: string; readonly message: string };
  readonly left?: readonly string[];
}

const made: string[] = [];
afterAll(() => {
  removeTempFolders();
  for (const folder of made) rmSync(path.dirname(folder), { recursive: true, force: true });
});

async function sealAll(...sources: string[]): Promise<Outcome[]> {
  const preload = path.join(__dirname, "../../support/typescript.js");
  const script = path.join(__dirname, "../support/seal-threads.ts");
  const runner = JSON.stringify(await smallRunnerLayer());
  const stdout = execFileSync(process.execPath, ["--require", preload, script, runner, ...sources], {
    encoding: "utf8",
  });
  const outcomes: Outcome[] = JSON.parse(stdout);
  made.push(...outcomes.map(({ layoutDir }) => layoutDir));
  return outcomes;
}

/** Above the size from which layers have threads, compressed or not. */
const large = (name: string, seed: number) => {
  const words = new Uint32Array(9 * 2 ** 18);
  for (let i = 0, x = seed; i < words.length; i++) words[i] = x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
  return { name, content: Buffer.from(words.buffer) as unknown as string };
};

test("come out as they went in, compressed or not, above small ones; the same bytes either way", async () => {
  const layers = [
    await tarOf([large("a", 1)]),
    await tarOf([{ name: "small", content: "s" }]),
    await tarOf([large("b", 2)]),
    await tarOf([large("c", 3)]),
  ];
  const outcomes = await sealAll(writeLayout({ layers, compress: false }), writeLayout({ layers }));
  for (const { sealed, layoutDir, lines } of outcomes) {
    const opened = openLayers(layoutDir, sealed as SealedImage).slice(2);
    expect(opened).toHaveLength(4);
    for (const [i, layer] of opened.entries()) {
      const { length } = layers[i] as Buffer;
      const without = Buffer.concat([layer.subarray(0, length - 1024), layer.subarray(length)]);
      expect(without.equals(layers[i] as Buffer)).toBe(true);
      expect([...(await unpack(layer)).keys()].at(-1)).toBe(".sealflow-salt");
    }
    expect(lines).toContain("encrypting layer 2/4: 0 MiB");
  }
  expect(outcomes[0]?.sealed?.digest).toBe(outcomes[1]?.sealed?.digest);
});

test("are refused as they are elsewhere, and nothing is left behind", async () => {
  const link = { name: "x", type: "symlink" as const, linkname: "sealflow" };
  const evil = writeLayout({
    layers: [
      await tarOf([large("a", 1), link]),
      await tarOf([large("b", 2), { name: "x/runner.js", content: "evil" }]),
    ],
    compress: false,
  });
  const fine = [await tarOf([large("a", 1)]), await tarOf([large("b", 2)])];
  const flipped = writeLayout({ layers: fine, compress: false });
  const blob = blobOf(flipped, sha256hex(fine[1] as Buffer));
  const bytes = readFileSync(blob);
  bytes[5_000_000] = (bytes[5_000_000] as number) ^ 1;
  writeFileSync(blob, bytes);
  const missing = writeLayout({ layers: fine, compress: false });
  rmSync(blobOf(missing, sha256hex(fine[0] as Buffer)));
  const outcomes = await sealAll(evil, flipped, missing, `stop:${writeLayout({ layers: fine })}`);
  expect(outcomes.map(({ error }) => error?.code)).toEqual(["IMAGE_RESERVED", "OCI_FORM", "OCI_FORM", undefined]);
  expect(outcomes.map(({ error }) => error?.name)).toEqual(["ImageError", "OciError", "OciError", "Error"]);
  expect(outcomes[1]?.error?.message).toContain(blob);
  expect(outcomes[3]?.error?.message).toBe("enough");
  expect(outcomes.map(({ left }) => left)).toEqual([[], [], [], []]);
});

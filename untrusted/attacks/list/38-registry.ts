import {
  appendFileSync,
  cpSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { sha256hex } from "../../../protocol/crypto";
import type { Attack, World } from "../types";

interface Layer {
  readonly digest: string;
  readonly size: number;
  mediaType: string;
  annotations?: Record<string, string>;
}
interface Manifest {
  layers: Layer[];
}

/** The image of the consumer in a layout of the attacker's own. @returns how a guest with it ends. */
async function changed(
  world: World,
  change: (layout: string, manifest: Manifest, file: string) => void,
): Promise<string> {
  const { consumer } = world.target;
  const run = await world.ready();
  const image: string = world.job(consumer).spec.template.spec.containers[0].image;
  const name = /\/([^/@]+)@/.exec(image)?.[1] as string;
  const place = join(world.home, "images", name);
  const original = realpathSync(place);
  rmSync(place, { recursive: true });
  cpSync(original, place, { recursive: true });
  try {
    const file = join(place, "blobs", "sha256", image.slice(-64));
    change(place, JSON.parse(readFileSync(file, "utf8")) as Manifest, file);
    return (await world.guest(world.job(consumer), { run })).code;
  } finally {
    rmSync(place, { recursive: true });
    symlinkSync(original, place);
  }
}

const blob = (layout: string, { digest }: Layer): string => join(layout, "blobs", "sha256", digest.slice(7));
const at = (manifest: Manifest, index: number): Layer => manifest.layers.at(index) as Layer;

export const registry: Attack = {
  number: 38,
  title: "the registry serves other layers, an older image, nothing",
  power: "registry",
  expected: ["IMAGE", "IMAGE_MISSING"],
  mount: async (world) => {
    const edits: Record<string, Parameters<typeof changed>[1]> = {
      "a byte of an encrypted layer flipped": (layout, manifest) => flip(blob(layout, at(manifest, -1))),
      "an encrypted layer cut": (layout, manifest) => truncateSync(blob(layout, at(manifest, -1)), 100),
      "an encrypted layer extended": (layout, manifest) => appendFileSync(blob(layout, at(manifest, -1)), "x"),
      "the owner's key exchanged": (layout, manifest) => flip(blob(layout, at(manifest, 1))),
      "a layer left out": (_layout, manifest, file) => {
        manifest.layers.pop();
        writeFileSync(file, JSON.stringify(manifest));
      },
      "a plain layer on top": (layout, manifest, file) => {
        const bytes = Buffer.alloc(1024);
        const digest = `sha256:${sha256hex(bytes)}`;
        writeFileSync(join(layout, "blobs", "sha256", digest.slice(7)), bytes);
        manifest.layers.push({ digest, size: bytes.length, mediaType: "application/vnd.oci.image.layer.v1.tar" });
        writeFileSync(file, JSON.stringify(manifest));
      },
      "an encrypted layer called plain": (_layout, manifest, file) => {
        at(manifest, -1).mediaType = "application/vnd.oci.image.layer.v1.tar";
        writeFileSync(file, JSON.stringify(manifest));
      },
      "another image's manifest under the digest": (layout, _manifest, file) => {
        const other = readdirSync(join(layout, "blobs", "sha256")).find((name) => !file.endsWith(name)) as string;
        cpSync(join(layout, "blobs", "sha256", other), file);
      },
      "the manifest is gone": (_layout, _manifest, file) => rmSync(file),
      "a layer is gone": (layout, manifest) => rmSync(blob(layout, at(manifest, -1))),
    };
    const tries = [];
    for (const [tried, edit] of Object.entries(edits)) tries.push({ tried, ended: await changed(world, edit) });
    return tries;
  },
};

function flip(file: string): void {
  const bytes = readFileSync(file);
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] as number) ^ 1;
  writeFileSync(file, bytes);
}

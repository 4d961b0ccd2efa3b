import { type Handle, image, type Pipeline } from "sealflow";

/** A function that adds steps: how pipelines are composed. */
export function collectible(p: Pipeline, name: string): Handle<"json"> {
  const made = p.step(name, { image: image.folder("./steps/x"), command: ["true"], outputs: { out: "json" } });
  return made.out;
}

/**
 * A stand-in cloud as a plugin of its own: the executables beside call it with their package, print the port, and keep what
 * exists in the folder that SEALFLOW_STAND_IN_CLOUDS names.
 */
import * as path from "node:path";
import { AWS } from "./aws";
import { AZURE } from "./azure";
import { serveCloud } from "./serve";
import { Store } from "./store";

export async function main(pkg: string): Promise<void> {
  const model = [AZURE, AWS].find((cloud) => cloud.pkg === pkg);
  const dir = process.env.SEALFLOW_STAND_IN_CLOUDS;
  if (!model) throw new Error(`no stand-in for ${pkg}`);
  if (!dir) throw new Error("SEALFLOW_STAND_IN_CLOUDS names no folder for what exists");
  const { port } = await serveCloud(model, new Store(path.join(dir, pkg)));
  process.stdout.write(`${port}\n`);
}

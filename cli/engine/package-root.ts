import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

/**
 * Folder of the sealflow package that this code belongs to: the checkout, or node_modules/sealflow. Source and dist/
 * lie at different depths, so it is searched upwards.
 */
export function packageRoot(from: string = __dirname): string {
  const file = join(from, "package.json");
  if (existsSync(file) && JSON.parse(readFileSync(file, "utf8")).name === "sealflow") return from;
  const parent = dirname(from);
  if (parent === from) throw new Error(`no package.json of sealflow above ${__dirname}: the installation is damaged`);
  return packageRoot(parent);
}

import { readFileSync } from "node:fs";
import * as path from "node:path";

/** Version of the package, from the nearest package.json above (this file runs from the sources and from dist/). */
export function packageVersion(): string {
  for (let folder = __dirname; folder !== path.dirname(folder); folder = path.dirname(folder)) {
    try {
      const found = JSON.parse(readFileSync(path.join(folder, "package.json"), "utf8"));
      if (found.name === "sealflow") return found.version;
    } catch {
      // look further up
    }
  }
  throw new Error("package.json of sealflow not found: the installation is damaged, reinstall the package");
}

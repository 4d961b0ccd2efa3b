/** Entry of the plugin process: serves, prints the port for the engine, and ends with the engine. */
import * as path from "node:path";
import { packageVersion } from "./package-version";
import { definitions } from "./resources";
import { findProject } from "./server/context";
import { serve } from "./server/serve";

/** How often to look whether the engine still lives, in milliseconds. */
const PARENT_CHECK_MS = 1000;

async function main(): Promise<void> {
  const engine = process.argv.slice(2).find((argument) => !argument.startsWith("-"));
  const { port } = await serve({ version: packageVersion(), definitions, project, engine });
  process.stdout.write(`${port}\n`);
  const parent = process.ppid;
  setInterval(() => {
    if (process.ppid !== parent) process.exit(0);
  }, PARENT_CHECK_MS).unref();
}

function project() {
  const root = findProject(process.cwd(), process.env);
  return { root, home: path.join(root, ".sealflow"), env: process.env, now: () => new Date() };
}

main().catch((error: Error) => {
  process.stderr.write(`sealflow provider: ${error.message}\n`);
  process.exit(1);
});

/** `npm run bench -- [name …] [--json]`: runs benches by name and prints their figures. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { type Bench, type Figure, tableOf } from "./figure";

/** Files of this folder that are no bench. */
const PARTS = new Set(["index", "figure"]);

/** Names of the benches in this folder, sorted. */
export const benchNames = (folder = __dirname): string[] =>
  readdirSync(folder)
    .map((file) => /^([a-z][a-z0-9-]*)\.(?:js|ts)$/.exec(file)?.[1])
    .filter((name): name is string => name !== undefined && !PARTS.has(name))
    .sort();

export interface Outcome {
  readonly code: number;
  readonly figures: readonly Figure[];
}

/** @param args names, and `--json`. @returns exit code: 0, 1 when a goal is missed, 2 for a wrong name. */
export async function main(
  args: readonly string[],
  out: (line: string) => void,
  say: (line: string) => void,
): Promise<Outcome> {
  const json = args.includes("--json");
  const asked = args.filter((arg) => arg !== "--json");
  const known = benchNames();
  const unknown = asked.filter((name) => !known.includes(name));
  if (unknown.length > 0) {
    say(`bench: no ${unknown.join(", ")}; there is ${known.join(", ")}. Usage: npm run bench -- [name …] [--json]`);
    return { code: 2, figures: [] };
  }
  const figures: Figure[] = [];
  for (const name of asked.length > 0 ? asked : known) {
    say(`bench: ${name}`);
    const { run } = require(join(__dirname, name)) as { run: Bench };
    const found = await run({ say });
    figures.push(...found);
    if (!json) for (const line of tableOf(found)) out(line);
  }
  if (json) out(JSON.stringify(figures, null, 2));
  return { code: figures.some(({ met }) => met === false) ? 1 : 0, figures };
}

if (require.main === module) {
  main(
    process.argv.slice(2),
    (line) => process.stdout.write(`${line}\n`),
    (line) => process.stderr.write(`${line}\n`),
  ).then(
    ({ code }) => {
      process.exitCode = code;
    },
    (error: unknown) => {
      process.stderr.write(`bench: ${error instanceof Error ? error.stack : error}\n`);
      process.exitCode = 70;
    },
  );
}

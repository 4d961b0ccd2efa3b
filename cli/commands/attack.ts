import { cacheRoot } from "../../provider/cache";
import { ATTACKS, type AttackResult, allHeld, MISSING, runAttacks } from "../../untrusted/attacks";
import { makeGround } from "../attack/ground";
import type { Context } from "../context";
import { CliError } from "../errors";
import { EXIT } from "../exit-codes";
import { runParameters } from "../run/parameters";
import { type Choice, choosePipeline } from "../support/pipelines";

export interface AttackChoice extends Choice {
  readonly list?: boolean;
  readonly only?: string;
  readonly params?: string;
  readonly canary?: readonly string[];
}

/** `sealflow attack`: mounts every known attack on a copy of the deployed pipeline. */
export async function attack(context: Context, options: AttackChoice): Promise<number> {
  if (options.list) return list(context);
  const only = options.only === undefined ? undefined : numbersOf(options.only);
  const deployed = choosePipeline(context.home, options);
  const { ground, close } = await makeGround({
    home: context.home,
    deployed,
    parameters: runParameters(context.home, deployed.connection, options.params, (line) => context.say(line)),
    canaries: options.canary ?? [],
    cacheDir: cacheRoot(context.io),
  });
  try {
    const results = await runAttacks(ground, {
      ...(only === undefined ? {} : { only }),
      signal: context.io.signal,
      onResult: (result) => {
        for (const line of linesOf(result)) context.say(line);
      },
    });
    const held = results.filter(({ verdict }) => verdict === "held").length;
    const mounted = results.filter(({ verdict }) => verdict !== "not here").length;
    const tries = results.reduce((n, result) => n + result.tries.length, 0);
    context.result({ held: allHeld(results), results }, `attacks held: ${held}/${mounted}, ${tries} tries`);
    return allHeld(results) ? EXIT.ok : EXIT.verification;
  } finally {
    await close();
  }
}

function list(context: Context): number {
  const all = [...ATTACKS, ...MISSING].map(({ number, title, power, ...rest }) => ({
    number,
    title,
    power,
    ...("needs" in rest ? { needs: rest.needs } : {}),
  }));
  context.result(
    all,
    all.map(({ number, title, power, needs }) => {
      const where = needs === undefined ? "" : ` (not here: needs ${needs})`;
      return `${String(number).padStart(2)}  ${title}, by: ${power}${where}`;
    }),
  );
  return EXIT.ok;
}

/** `4,7-9` → 4, 7, 8, 9. @throws CliError USAGE. */
function numbersOf(text: string): number[] {
  const known = new Set([...ATTACKS, ...MISSING].map(({ number }) => number));
  const numbers = text.split(",").flatMap((part) => {
    const [, from, to] = /^(\d{1,3})(?:-(\d{1,3}))?$/.exec(part.trim()) ?? [];
    const first = Number(from);
    return from === undefined
      ? [Number.NaN]
      : Array.from({ length: Number(to ?? from) - first + 1 }, (_, i) => first + i);
  });
  const wrong = numbers.some((n) => !known.has(n)) || numbers.length === 0;
  if (wrong) throw new CliError("USAGE", `--only ${text}: give numbers of --list, such as 4 or 1,7-9`);
  return numbers;
}

function linesOf({ number, title, power, verdict, tries, leaks, reason, seconds }: AttackResult): string[] {
  const head = `${String(number).padStart(2)}  ${title} (${power}): ${verdict}${reason === undefined ? "" : `, ${reason}`}`;
  return [
    `${head}${seconds > 0 ? `, ${seconds.toFixed(1)} s` : ""}`,
    ...tries.map(({ tried, ended, held }) => `      ${held ? "" : "BROKEN  "}${tried}: ${ended}`),
    ...leaks.map((leak) => `      LEAKED  ${leak}`),
  ];
}

import { componentOf, FAMILIES, PLATFORMS, type PlatformRow, platformProblem, platformWiring } from "../../model";
import type { Context } from "../context";
import { CliError } from "../errors";
import { EXIT } from "../exit-codes";

/** `sealflow platforms [platform]`: the capability matrix, or all about one row. */
export async function platforms(context: Context, name: string | undefined): Promise<number> {
  if (name === undefined) {
    context.result({ platforms: PLATFORMS, families: FAMILIES.map(familyData) }, [
      ...table(),
      "all about one: sealflow platforms <platform>",
    ]);
    return EXIT.ok;
  }
  const row = PLATFORMS.find(({ platform }) => platform === name);
  if (row === undefined) throw new CliError("USAGE", platformProblem(name) ?? "");
  const families = FAMILIES.filter(({ family }) => row.families.includes(family));
  context.result({ ...row, families: families.map(familyData) }, details(row));
  return EXIT.ok;
}

/** A pattern has no JSON form but its text. */
const familyData = ({ pattern, ...family }: (typeof FAMILIES)[number]) => ({ ...family, pattern: pattern.source });

function table(): string[] {
  const rows = [
    ["platform", "state", "hardware", "evidence", "boundary", "initdata"],
    ...PLATFORMS.map((row) => [row.platform, row.state, row.hardware ?? "-", row.tee ?? "-", row.boundary, bound(row)]),
  ];
  const widths = rows[0]?.map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0))) ?? [];
  return rows.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}

const bound = ({ initdata }: PlatformRow): string =>
  initdata === null ? "-" : initdata.bound === "none" ? "not bound" : initdata.field;

function details(row: PlatformRow): string[] {
  const wiring = platformWiring(row.platform);
  const families = FAMILIES.filter(({ family }) => row.families.includes(family));
  const by = componentOf(row.platform);
  return [
    `${row.platform}: ${row.state}`,
    row.reason,
    ...(by
      ? [
          `deployed by: ${by.component} of ${by.entry} (docs/${by.doc}); on a cluster that is there: ExistingCluster of sealflow/kubernetes`,
        ]
      : []),
    ...(row.instead === "" ? [] : [`use instead: ${row.instead}`]),
    `confidential: ${row.confidential ? "yes" : "no"}; hardware: ${row.hardware ?? "none"}; evidence: ${row.tee ?? "none"}; one guest holds: ${row.boundary}`,
    ...(row.runtimeClasses.length === 0 ? [] : [`runtime classes: ${row.runtimeClasses.join(", ") || "none"}`]),
    ...(wiring === undefined
      ? []
      : [
          `initdata: ${wiring.initdata.algorithm}, ${bound(row)}, at most ${wiring.initdata.limit} characters (${wiring.initdata.carrierName})`,
        ]),
    ...(row.regions.length === 0 ? [] : [`regions known: ${row.regions.join(", ")} (others: a warning)`]),
    ...families.flatMap(({ family, sizes, reason }) => [
      `${family}: ${reason}`,
      ...sizes.map(({ name, vcpus, memoryGiB }) => `  ${name.padEnd(28)} ${vcpus} vCPUs, ${memoryGiB} GiB`),
    ]),
    `source: ${row.source}`,
  ];
}

/** docs/platforms.md, made from the rows. */
import { componentOf } from "./components";
import { FAMILIES } from "./families";
import { INITDATA_CARRIERS } from "./initdata";
import { PLATFORMS } from "./lookup";
import type { PlatformRow } from "./types";

const line = (cells: readonly string[]): string => `| ${cells.map((cell) => cell.replace(/\|/g, "\\|")).join(" | ")} |`;
const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
const code = (names: readonly string[]): string => names.map((name) => `\`${name}\``).join(", ");

function initdata({ initdata: rule }: PlatformRow): string {
  if (rule === null) return "–";
  const where = rule.bound === "none" ? "bound to nothing" : rule.field;
  return `${rule.algorithm}, ${where}, ${INITDATA_CARRIERS[rule.carrier].limit} characters`;
}

function deployedBy({ platform }: PlatformRow): string {
  const found = componentOf(platform);
  return found ? `[\`${found.component}\`](${found.doc}) of \`${found.entry}\`` : "–";
}

/** Markdown; the same bytes from the same rows. */
export function platformsDocument(): string {
  const usable = PLATFORMS.filter(({ state }) => state !== "refused");
  const refused = PLATFORMS.filter(({ state }) => state === "refused");
  const families = FAMILIES.filter(({ state }) => state !== "refused");
  const retired = FAMILIES.filter(({ state }) => state === "refused");
  return `# Platforms

Made from model/platforms by \`node tools/platforms-doc.js\`; \`sealflow platforms\` prints the same. A platform says where confidential pods run. What a program asks of one is checked at preview: every problem at once, each with its remedy. Nothing falls back silently to a plain pod.

**supported**: evidence and initdata bind the step's program to hardware, and upstream tests it. **experimental**: something of that is missing; the reason says what, and previews repeat it. **refused**: named so that one learns why. Each platform has a component that deploys it; \`ExistingCluster\` of \`sealflow/kubernetes\` takes a cluster that is there already, for any row. How they are put together: [deploying](deploying.md).

## To be used

${table(
  [
    "Platform",
    "State",
    "Hardware",
    "Evidence",
    "One guest holds",
    "Initdata",
    "Runtime classes",
    "Component",
    "What it is, what it lacks",
    "Source",
  ],
  usable.map((row) => [
    `\`${row.platform}\``,
    row.state,
    row.hardware ?? "none (simulated)",
    row.tee ?? "none",
    row.boundary,
    initdata(row),
    code(row.runtimeClasses) || "–",
    deployedBy(row),
    row.reason,
    row.source,
  ]),
)}

## Sizes of guests

A size of a known family that is not listed is a warning, as is a region; a family that is not listed is refused.

${table(
  ["Family", "Cloud", "Hardware", "Sizes: vCPUs / GiB", "Remarks"],
  families.map((f) => [
    f.family,
    f.cloud,
    f.hardware ?? "",
    f.sizes.map(({ vcpus, memoryGiB }) => `${vcpus}/${memoryGiB}`).join(", "),
    f.reason,
  ]),
)}

Regions known: ${usable
    .filter(({ regions }) => regions.length > 0)
    .map(({ platform, regions }) => `\`${platform}\` ${regions.join(", ")}`)
    .join("; ")}.

## Refused sizes

${table(
  ["Family", "Reason", "Use", "Source"],
  retired.map((f) => [f.family, f.reason, f.instead, f.source]),
)}

## Refused platforms

${table(
  ["Platform", "Reason", "Use", "Source"],
  refused.map((row) => [`\`${row.platform}\``, row.reason, row.instead, row.source]),
)}
`;
}

/** The comment for a review. Names and values may be a stranger's: they stand in code spans only, and cannot leave them. */
import type { FieldChange } from "./fields";
import { AREAS, type Area, type TrustChange, type TrustDiff } from "./index";

const SIGN = { create: "+", update: "~", replace: "±", delete: "−" } as const;
/** Per change; the rest is counted. */
const MOST_FIELDS = 20;

export function trustDiffMarkdown({ changes, others, unchanged, errors }: TrustDiff): string {
  const lines = ["## What this changes for those who trust the pipeline", ""];
  if (errors.length > 0) {
    lines.push("**The preview failed, so what follows may be incomplete:**", "");
    lines.push(...errors.map((error) => `- ${code(error.split("\n")[0] ?? "")}`), "");
  }
  if (changes.length === 0 && errors.length === 0) {
    lines.push("Nothing: no identity, image, dataset, release right, run key, reference value or policy changes.", "");
  }
  for (const area of Object.keys(AREAS) as Area[]) {
    const here = changes.filter((change) => change.area === area);
    if (here.length === 0) continue;
    lines.push(`### ${AREAS[area]}`, "", ...here.flatMap(changeLines), "");
  }
  const counts = Object.entries(others).map(([op, n]) => `${n} ${op}`);
  if (counts.length > 0) lines.push(`Resources of other packages: ${counts.join(", ")}.`);
  lines.push(`Unchanged resources: ${unchanged}.`, "");
  return lines.join("\n");
}

function changeLines({ op, subject, means, fields }: TrustChange): string[] {
  const more = fields.length - MOST_FIELDS;
  return [
    `- ${SIGN[op]} ${code(subject)}: ${means}`,
    ...fields.slice(0, MOST_FIELDS).map((field) => `  - ${fieldText(field)}`),
    ...(more > 0 ? [`  - and ${more} more`] : []),
  ];
}

function fieldText({ path, before, after }: FieldChange): string {
  if (before === undefined) return `${code(path)}: ${code(after ?? "")}`;
  if (after === undefined) return `${code(path)}: ${code(before)} → none`;
  if (before === after) return `${code(path)}: ${code(before)}, changed`;
  return `${code(path)}: ${code(before)} → ${code(after)}`;
}

/** A code span whose fence is longer than any run of backticks inside; on one line. */
function code(text: string): string {
  const flat = text.replace(/\s+/g, " ").trim() || " ";
  const longest = Math.max(0, ...(flat.match(/`+/g) ?? []).map((run) => run.length));
  const fence = "`".repeat(longest + 1);
  return longest > 0 ? `${fence} ${flat} ${fence}` : `${fence}${flat}${fence}`;
}

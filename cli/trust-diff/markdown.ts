/** The comment for a review. Names and values may be a stranger's: they stand in code spans only, and cannot leave them. */
import type { FieldChange } from "./fields";
import { AREAS, type Area, type TrustChange, type TrustDiff } from "./index";

const SIGN = { create: "+", update: "~", replace: "±", delete: "−" } as const;
/** Characters: a comment on GitHub has at most 65 536. What does not fit is counted at the top, where it is read. */
const LONGEST = 60_000;

export function trustDiffMarkdown({ changes, unchanged, unseen, errors }: TrustDiff): string {
  const head = ["## What this changes for those who trust the pipeline", ""];
  if (errors.length > 0) {
    head.push("**The preview failed, so what follows may be incomplete:**", "");
    head.push(...errors.map((error) => `- ${code(error.split("\n")[0] ?? "")}`), "");
  }
  if (unseen > 0) {
    head.push(
      `**The inputs of ${unseen} resources that count as unchanged are not in this preview, so they were not compared.** Preview with \`--show-sames\`.`,
      "",
    );
  }
  if (changes.length === 0 && errors.length === 0 && unseen === 0) {
    head.push("Nothing: no identity, image, dataset, release right, run key, reference value or policy changes.", "");
  }
  const areas = (Object.keys(AREAS) as Area[]).map((area) => [area, changes.filter((c) => c.area === area)] as const);
  const told = areas.filter(([, here]) => here.length > 0);
  if (told.length > 1) head.push(told.map(([area, here]) => `${AREAS[area]}: ${here.length}`).join(" · "), "");
  const body = told.flatMap(([area, here]) => [`### ${AREAS[area]}`, "", ...here.flatMap(changeLines), ""]);
  return [...fitting(head, body), `Unchanged resources: ${unchanged}.`, ""].join("\n");
}

/** Areas come by weight, so what is lost is at the end. */
function fitting(head: readonly string[], body: readonly string[]): string[] {
  let room = LONGEST - head.join("\n").length;
  const fits = body.findIndex((line) => {
    room -= line.length + 1;
    return room < 0;
  });
  if (fits < 0) return [...head, ...body];
  const [title = "", ...rest] = head;
  const lost = `**TOO LONG: ${body.length - fits} of ${body.length} lines are missing at the end.** \`npx sealflow diff --json\` has all of them.`;
  return [title, "", lost, ...rest, ...body.slice(0, fits), ""];
}

function changeLines({ op, subject, means, fields }: TrustChange): string[] {
  return [`- ${SIGN[op]} ${code(subject, true)}: ${means}`, ...fields.map((field) => `  - ${fieldText(field)}`)];
}

function fieldText({ path, before, after }: FieldChange): string {
  const name = code(path, true);
  if (before === undefined) return `${name}: ${code(after ?? "")}`;
  if (after === undefined) return `${name}: ${code(before)} → none`;
  if (before === after) return `${name}: ${code(before)}, changed`;
  return `${name}: ${code(before)} → ${code(after)}`;
}

/** A code span whose fence is longer than any run of backticks inside; on one line. @param name escapes all but ASCII. */
function code(text: string, name = false): string {
  const flat = visible(text, name) || " ";
  const longest = Math.max(0, ...(flat.match(/`+/g) ?? []).map((run) => run.length));
  const fence = "`".repeat(longest + 1);
  return longest > 0 ? `${fence} ${flat} ${fence}` : `${fence}${flat}${fence}`;
}

/**
 * Two texts that differ look different: what has no shape of its own, turns the text or is swallowed by a display stands
 * as its number. In names every letter does that looks like one of ASCII.
 */
function visible(text: string, name: boolean): string {
  const hidden = name ? /[^\x20-\x7e]/gu : /[\p{C}\p{Zl}\p{Zp}\p{M}\u115f\u1160\u3164\uffa0]|(?! )\p{Zs}/gu;
  return text
    .replace(/\\/g, "\\\\")
    .replace(/\n/g, "\\n")
    .replace(hidden, (c) => `\\u{${c.codePointAt(0)?.toString(16)}}`)
    .replace(/^ | $|(?<= ) /g, "\\u{20}");
}

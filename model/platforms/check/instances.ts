/** Instance size against TEE, family and what steps need. */
import { didYouMean, listed } from "../../suggest";
import type { PlatformArgs } from "../args";
import { FAMILIES, familyOf, sizeOf } from "../families";
import type { Problems } from "../problems";
import type { PlatformRow } from "../types";

const AT = "instances";

export function checkInstances(row: PlatformRow, { instances, largestStep }: PlatformArgs, out: Problems): void {
  if (row.families.length === 0) return;
  const chosen = instances?.default;
  const allowed = instances?.allowed ?? (chosen === undefined ? [] : [chosen]);
  if (chosen === undefined) {
    out.error("INSTANCE", `${AT}.default`, `required: the size of guests, such as ${example(row)}`);
  } else {
    checkSize(row, `${AT}.default`, chosen, out);
    if (!allowed.includes(chosen)) {
      out.error("INSTANCE", `${AT}.allowed`, `lacks the default ${chosen}, which pods would be refused; add it`);
    }
  }
  for (const [i, size] of allowed.entries()) {
    const at = `${AT}.allowed[${i}]`;
    if (size !== chosen) checkSize(row, at, size, out);
    if (allowed.indexOf(size) !== i) out.error("INSTANCE", at, `${size} is listed twice; remove one`);
  }
  if (largestStep !== undefined) checkNeed(allowed, largestStep, out);
}

function checkSize(row: PlatformRow, at: string, size: string, out: Problems): void {
  const family = familyOf(size);
  const known = row.families.join(", ");
  if (family === undefined) {
    out.error("INSTANCE", at, unknownSize(row, size));
    return;
  }
  if (family.cloud !== row.cloud) {
    out.error(
      "INSTANCE",
      at,
      `${size} is a size of ${family.cloud}, the platform is on ${row.cloud}; take ${example(row)}`,
    );
    return;
  }
  if (family.state === "refused") {
    out.error("INSTANCE", at, `${size} (${family.family}) is refused: ${family.reason}. Use ${family.instead}`);
    return;
  }
  if (family.hardware !== row.hardware) {
    out.error(
      "INSTANCE",
      at,
      `${size} is ${family.hardware}, the platform is ${row.hardware}; take ${example(row)}, or the platform of that TEE`,
    );
    return;
  }
  if (!row.families.includes(family.family)) {
    out.error(
      "INSTANCE",
      at,
      `${size} (${family.family}) is not for this platform (has ${known}); take ${example(row)}`,
    );
    return;
  }
  if (sizeOf(size) === undefined) {
    const sizes = family.sizes.map(({ name }) => name);
    out.warn(
      "INSTANCE",
      at,
      `${size} is not in the list of ${family.family} (has ${listed(sizes)}).${didYouMean(size, sizes)} Check that the region offers it`,
    );
  }
}

function unknownSize(row: PlatformRow, size: string): string {
  const sizes = FAMILIES.filter(({ family }) => row.families.includes(family)).flatMap((f) =>
    f.sizes.map((s) => s.name),
  );
  const same = sizes.find((name) => name.toLowerCase() === size.toLowerCase());
  if (same !== undefined) return `${size} must be written ${same}`;
  if (/\.metal/.test(size)) return `${size}: *.metal instances give no SNP guest; take ${example(row)}`;
  return `${size} is no confidential VM of this platform (has ${row.families.join(", ")}).${didYouMean(size, sizes)} Take ${example(row)}`;
}

function checkNeed(allowed: readonly string[], need: { cpu: number; memoryGiB: number }, out: Problems): void {
  const sizes = allowed.map(sizeOf);
  if (allowed.length === 0 || sizes.includes(undefined)) return; // of a size that is not listed nobody knows
  if (sizes.some((s) => s !== undefined && s.vcpus >= need.cpu && s.memoryGiB > need.memoryGiB)) return;
  out.error(
    "INSTANCE",
    `${AT}.allowed`,
    `no size has ${need.cpu} vCPUs and more than ${need.memoryGiB} GiB, which the largest step needs beside the guest's own; allow a larger size, or lower resources of the step`,
  );
}

/** A small size of the platform. */
const example = (row: PlatformRow): string =>
  FAMILIES.find(({ family }) => family === row.families[0])?.sizes[0]?.name ?? "a size of the platform";

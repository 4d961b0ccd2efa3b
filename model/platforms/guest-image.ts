/**
 * Boot without initdata: a host can start a guest with the public initdata digest in its launch field and no initdata
 * device. A stock image then falls back to a policy that allows everything, and its evidence looks like the step's. Only
 * an image that denies by default closes this; a platform with another is refused unless the program says why.
 */

/** `deny`: the guest image refuses everything until initdata that matches the launch field is applied. */
export type DefaultPolicy = "deny" | "stock";

/** Shortest reason that can say something. */
export const MIN_REASON = 10;

/** @param acknowledged reason of `acknowledgeStockGuestImage`. @returns what is wrong and what to do; undefined: nothing. */
export function stockImageProblem(defaultPolicy: DefaultPolicy, acknowledged: string | undefined): string | undefined {
  const reason = acknowledged?.trim();
  if (defaultPolicy === "deny") {
    return reason === undefined
      ? undefined
      : "acknowledgeStockGuestImage: the guest image denies by default, so there is nothing to acknowledge; remove it";
  }
  if (reason !== undefined && reason.length >= MIN_REASON) return undefined;
  return (
    'marked "stock", which allows everything when the host boots it without initdata. ' +
    "Build an image that denies by default and register its measurements with defaultPolicy: deny " +
    '(docs/trust/boot-without-initdata.md), or say acknowledgeStockGuestImage: "<reason>"'
  );
}

/** What previews and reports repeat about an acknowledged stock image. */
export const stockImageWarning = (tee: string, reason: string): string =>
  `guest image of ${tee} is stock: a host that boots it without initdata may take over the guest and its keys. Accepted because: ${reason.trim()}`;

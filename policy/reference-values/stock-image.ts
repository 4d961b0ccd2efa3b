/**
 * Boot without initdata: a host can start a guest with the public initdata digest in its launch field and no initdata
 * device. A stock image then falls back to a policy that allows everything, and its evidence looks like the step's. Only
 * an image that denies by default closes this; a platform with another is refused unless the program says why.
 */
import type { Tee } from "../../protocol/rcar";
import { PolicyError } from "../errors";
import type { DefaultPolicy } from "./values";

export interface GuestImageArgs {
  readonly tee: Tee;
  readonly defaultPolicy: DefaultPolicy;
  /** Why the stock image is accepted; repeated by previews and reports. */
  readonly acknowledgeStockGuestImage?: string;
}

/** Shortest reason that can say something. */
const MIN_REASON = 10;

/**
 * @returns a warning for previews and reports, or undefined when there is nothing to say.
 * @throws PolicyError STOCK_IMAGE for a stock image on hardware without a reason, and for a reason without a stock image.
 */
export function checkGuestImage({
  tee,
  defaultPolicy,
  acknowledgeStockGuestImage,
}: GuestImageArgs): string | undefined {
  const reason = acknowledgeStockGuestImage?.trim();
  if (tee === "sample") return undefined; // nothing is protected by the simulated platform anyway
  if (defaultPolicy === "deny") {
    if (reason !== undefined) {
      throw new PolicyError(
        "STOCK_IMAGE",
        "acknowledgeStockGuestImage: the guest image denies by default, so there is nothing to acknowledge; remove it",
      );
    }
    return undefined;
  }
  if (reason === undefined || reason.length < MIN_REASON) {
    throw new PolicyError(
      "STOCK_IMAGE",
      `guest image of ${tee}: marked "stock", which allows everything when the host boots it without initdata. ` +
        "Build an image that denies by default and register its measurements with defaultPolicy: deny " +
        '(docs/trust/boot-without-initdata.md), or say acknowledgeStockGuestImage: "<reason>"',
    );
  }
  return `guest image of ${tee} is stock: a host that boots it without initdata may take over the guest and its keys. Accepted because: ${reason}`;
}

/** The rule about guest images that boot open (model/platforms/guest-image.ts), where reference values are registered. */
import { type DefaultPolicy, stockImageProblem, stockImageWarning } from "../../model/platforms/guest-image";
import type { Tee } from "../../protocol/rcar";
import { PolicyError } from "../errors";

export interface GuestImageArgs {
  readonly tee: Tee;
  readonly defaultPolicy: DefaultPolicy;
  /** Why the stock image is accepted; repeated by previews and reports. */
  readonly acknowledgeStockGuestImage?: string;
}

/**
 * @returns a warning for previews and reports, or undefined when there is nothing to say.
 * @throws PolicyError STOCK_IMAGE for a stock image on hardware without a reason, and for a reason without a stock image.
 */
export function checkGuestImage(args: GuestImageArgs): string | undefined {
  const { tee, defaultPolicy, acknowledgeStockGuestImage: reason } = args;
  if (tee === "sample") return undefined; // nothing is protected by the simulated platform anyway
  const problem = stockImageProblem(defaultPolicy, reason);
  if (problem !== undefined) {
    throw new PolicyError("STOCK_IMAGE", defaultPolicy === "deny" ? problem : `guest image of ${tee}: ${problem}`);
  }
  return defaultPolicy === "stock" && reason !== undefined ? stockImageWarning(tee, reason) : undefined;
}

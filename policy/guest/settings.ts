/** A platform's guest settings, as the parts of this folder take them. */
import type { GuestSettings } from "../../model/guest-settings";
import { PolicyError } from "../errors";
import { INITDATA_BUDGETS, type InitdataBudget } from "../initdata/budget";
import type { ImageSettings } from "./image-settings";

const URI = /^kbs:\/\/\/([A-Za-z0-9_-][\w.-]*(?:\/[A-Za-z0-9_-][\w.-]*){2})$/;

export interface GuestBuild {
  readonly images?: ImageSettings;
  readonly debug: boolean;
  readonly budget: InitdataBudget;
}

/** @throws PolicyError GUEST_CONFIG for a carrier that does not exist. */
export function guestBuild({ images, debugGuests, initdataCarrier = "kubernetes" }: GuestSettings = {}): GuestBuild {
  if (!Object.hasOwn(INITDATA_BUDGETS, initdataCarrier)) {
    const known = Object.keys(INITDATA_BUDGETS).join(", ");
    throw new PolicyError("GUEST_CONFIG", `initdataCarrier "${initdataCarrier}": expected one of ${known}`);
  }
  const budget = INITDATA_BUDGETS[initdataCarrier];
  return { ...(images === undefined ? {} : { images }), debug: debugGuests !== undefined, budget };
}

/** Paths that a guest reads for itself, beside its step's: a grant without them would leave it unable to start. Sorted. */
export function guestPaths({ images, reads = [] }: GuestSettings = {}): string[] {
  const uris = [images?.securityPolicyUri, images?.credentialsUri, ...reads].filter((uri) => uri !== undefined);
  const bad = uris.filter((uri) => !URI.test(uri));
  if (bad.length > 0) {
    throw new PolicyError("GUEST_CONFIG", `reads: ${bad.join(", ")}: expected kbs:///repository/type/tag`);
  }
  return [...new Set(uris.map((uri) => URI.exec(uri)?.[1] as string))].sort();
}

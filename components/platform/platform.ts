import type * as pulumi from "@pulumi/pulumi";
import { type DefaultPolicy, type GuestSettings, stockImageProblem, stockImageWarning } from "../../model";

/** What guests do that the host boots without initdata (docs/trust/boot-without-initdata.md). */
export interface GuestImage {
  /** `deny`: measured as an image that refuses everything then. `stock`: it allows everything. */
  readonly defaultPolicy: DefaultPolicy;
  /** Why a stock image is accepted; repeated by every preview and report. */
  readonly acknowledgeStockGuestImage?: string | undefined;
}

/** Where confidential pods run, as far as steps and their Jobs need to know. */
export interface Platform extends pulumi.ComponentResource {
  /** Kind of guest that keys are granted to; `sample` is the simulated one. */
  readonly tee: string;
  /** Runtime class of the Jobs. */
  readonly runtimeClass: string;
  /** Whether hardware keeps the operator out. */
  readonly confidential: boolean;
  /** Why every step may run without isolation from the runner; undefined: only steps that say so themselves. */
  readonly trustPrograms?: string | undefined;
  /** Must be said for every kind of guest but the simulated one. */
  readonly guestImage?: GuestImage | undefined;
  /** How guests are set up; `initdataCarrier` is what the platform carries initdata in. */
  readonly guest?: GuestSettings | undefined;
}

const SIMULATED = "sample";

/** Why no pipeline may run there: each with what to do. */
export function platformProblems({ tee, confidential, guestImage, guest }: Platform): string[] {
  const problems: string[] = [];
  if (tee === SIMULATED) {
    return confidential ? ["platform: simulated guests protect nothing. Set confidential: false"] : [];
  }
  if (guest?.debugGuests !== undefined) {
    const remedy = "Remove it, or debug on a LocalPlatform";
    problems.push(`platform: guest.debugGuests opens guests of ${tee} to whoever runs the host. ${remedy}`);
  }
  if (guestImage === undefined) {
    const remedy = 'Set guestImage: { defaultPolicy: "deny" } when the measured image refuses everything then';
    problems.push(`platform: it does not say what guests do that the host boots without initdata. ${remedy}`);
  } else {
    const problem = stockImageProblem(guestImage.defaultPolicy, guestImage.acknowledgeStockGuestImage);
    if (problem !== undefined) problems.push(`platform: guest image of ${tee}: ${problem}`);
  }
  return problems;
}

/** What previews say about a platform without problems. */
export function platformWarnings({ tee, guestImage, guest, confidential }: Platform): string[] {
  const { defaultPolicy, acknowledgeStockGuestImage: reason } = guestImage ?? {};
  return [
    ...(guest?.debugGuests === undefined
      ? []
      : [`guests let the host read logs and run commands in them: ${guest.debugGuests}`]),
    ...(confidential && defaultPolicy === "stock" && reason ? [stockImageWarning(tee, reason)] : []),
  ];
}

/**
 * How large initdata may be. The document travels to the guest compressed and in base64: as a pod annotation, and on
 * clouds inside a VM's user data, beside what Cloud API Adaptor puts there itself. Nobody checks it on the way (a document
 * that is cut arrives as none), so it is checked when it is made.
 */
import { INITDATA_CARRIERS, type InitdataCarrier } from "../../model/platforms/initdata";
import { PolicyError } from "../errors";
import { type Initdata, parseInitdata } from "./document";

export type InitdataBudget = InitdataCarrier;

/** One table with the capability matrix. */
export const INITDATA_BUDGETS = INITDATA_CARRIERS;

/**
 * @param text the TOML document that `annotation` carries.
 * @throws PolicyError TOO_LARGE with the size of each part, so that one sees what to shorten.
 */
export function checkBudget(text: string, annotation: string, { carrier, limit }: InitdataBudget): void {
  if (annotation.length <= limit) return;
  const parts = partsOf(parseInitdata(text));
  throw new PolicyError(
    "TOO_LARGE",
    `initdata: ${annotation.length} characters compressed, ${carrier} takes ${limit}. It holds ${parts}. ` +
      "Shorten the largest: usually the CA bundle of the KBS, which needs one root only",
  );
}

const partsOf = ({ data }: Initdata): string =>
  Object.entries(data)
    .map(([name, text]) => `${name} ${Buffer.byteLength(text)} B`)
    .join(", ");

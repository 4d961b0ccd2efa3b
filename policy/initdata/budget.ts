/**
 * How large initdata may be. The document travels to the guest compressed and in base64: as a pod annotation, and on
 * clouds inside a VM's user data, beside what Cloud API Adaptor puts there itself. Nobody checks it on the way (a document
 * that is cut arrives as none), so it is checked when it is made.
 */
import { PolicyError } from "../errors";
import { type Initdata, parseInitdata } from "./document";

export interface InitdataBudget {
  /** Where initdata travels, for people. */
  readonly carrier: string;
  /** Longest annotation (gzip, base64), characters. */
  readonly limit: number;
}

/** Cloud API Adaptor's own part of user data: its configuration, TLS material and registry credentials. */
const ADAPTOR_PART = 4096;

export const INITDATA_BUDGETS = {
  /** Kubernetes takes 256 KiB for all annotations of an object; a quarter is ours. */
  kubernetes: { carrier: "pod annotation", limit: 65_536 },
  /** Azure: user data of at most 64 KiB in base64. */
  azure: { carrier: "Azure user data (64 KiB)", limit: Math.floor((65_536 / 4) * 3) - ADAPTOR_PART },
  /** EC2: user data of at most 16 KiB before its own encoding; the document inside is base64 already. */
  ec2: { carrier: "EC2 user data (16 KiB)", limit: 16_384 - ADAPTOR_PART },
} as const satisfies Record<string, InitdataBudget>;

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

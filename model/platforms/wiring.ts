/** What a platform gives to pipelines that run on it. */
import { FAMILIES, sizeOf } from "./families";
import { INITDATA_CARRIERS, type InitdataRule } from "./initdata";
import { usablePlatform } from "./lookup";
import { deletionOrder, type Part, partsOf } from "./order";
import type { InstanceSize, PlatformRow } from "./types";

export interface PlatformWiring {
  readonly platform: string;
  /** Evidence by Trustee's name of its verifier. */
  readonly tee: NonNullable<PlatformRow["tee"]>;
  readonly confidential: boolean;
  /** Of the Jobs. */
  readonly runtimeClass: string;
  readonly initdata: InitdataRule & { readonly limit: number; readonly carrierName: string };
  /** Sizes that guests may have, smallest first; empty where the hosts decide. */
  readonly shapes: readonly InstanceSize[];
  readonly deletion: readonly Part[];
}

/** @returns undefined for a platform that is unknown, refused, or runs no steps. */
export function platformWiring(name: string): PlatformWiring | undefined {
  const row = usablePlatform(name);
  const runtimeClass = row?.runtimeClasses[0];
  if (!row?.tee || row.initdata === null || runtimeClass === undefined) return undefined;
  const { limit, carrier } = INITDATA_CARRIERS[row.initdata.carrier];
  return {
    platform: row.platform,
    tee: row.tee,
    confidential: row.confidential,
    runtimeClass,
    initdata: { ...row.initdata, limit, carrierName: carrier },
    shapes: bySize(FAMILIES.filter(({ family }) => row.families.includes(family)).flatMap(({ sizes }) => sizes)),
    deletion: deletionOrder(partsOf(row.model)),
  };
}

const bySize = (sizes: readonly InstanceSize[]): InstanceSize[] =>
  [...sizes].sort((a, b) => a.vcpus - b.vcpus || a.memoryGiB - b.memoryGiB);

/** Pod annotation by which the adaptor takes a certain size; what it chooses itself depends on its version. */
export const MACHINE_TYPE_ANNOTATION = "io.katacontainers.config.hypervisor.machine_type";

/**
 * The smallest allowed size for a step: vCPUs as asked, and more memory than asked, because the guest's kernel, agent and
 * the image's layers live in it too. @returns undefined: none is large enough, or none is listed.
 */
export function instanceFor(
  allowed: readonly string[],
  need: { readonly cpu: number; readonly memoryGiB: number },
): string | undefined {
  const known = allowed.flatMap((name) => sizeOf(name) ?? []);
  return bySize(known).find((s) => s.vcpus >= need.cpu && s.memoryGiB > need.memoryGiB)?.name;
}

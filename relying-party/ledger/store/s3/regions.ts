/** Where Amazon's services are in a region: partitions have domains of their own. */

export const REGION = /^[a-z0-9-]{1,40}$/;

/** `s3`, `eu-central-1` → `s3.eu-central-1.amazonaws.com`. */
export const serviceHost = (service: string, region: string): string =>
  `${service}.${region}.amazonaws.com${region.startsWith("cn-") ? ".cn" : ""}`;

import { isIP } from "node:net";
import type { Database } from "../../database/open";
import type { StoreSettings } from "../open";
import { endpointOf, prefixOf, queryOf } from "../query";
import { s3Credentials } from "./credentials";
import { REGION, serviceHost } from "./regions";
import { S3Store } from "./store";

const BUCKET = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;

/** The store that an `s3:` URL names; problems are added to the list. */
export function s3Store(url: URL, db: Database, settings: StoreSettings, problems: string[]): S3Store | undefined {
  const query = queryOf(url, ["region", "endpoint", "style", "public"], problems);
  const bucket = url.hostname;
  if (!BUCKET.test(bucket)) problems.push("bucket: expected 3 to 63 of [a-z0-9.-]");
  const region = query.region ?? process.env.AWS_REGION ?? process.env.AWS_DEFAULT_REGION ?? "us-east-1";
  if (!REGION.test(region)) problems.push("region: expected [a-z0-9-]");
  // Amazon's certificates are for one label before the region's name, so a bucket with dots is named in the path.
  const dots = bucket.includes(".");
  const style = query.style ?? (query.endpoint === undefined && !dots ? "virtual" : "path");
  if (style !== "path" && style !== "virtual") problems.push("style: expected path or virtual");
  if (query.style === "virtual" && query.endpoint === undefined && dots)
    problems.push("style: a bucket with dots in its name has no certificate of its own; use path");
  const endpoint = endpointOf("endpoint", query.endpoint ?? `https://${serviceHost("s3", region)}`, problems);
  const outside = query.public === undefined ? undefined : endpointOf("public", query.public, problems);
  for (const [name, base] of Object.entries({ endpoint, public: outside })) {
    if (style === "virtual" && base !== undefined && isIP(base.hostname.replaceAll(/[[\]]/g, "")) !== 0)
      problems.push(`${name}: an address takes no bucket before it; use style=path`);
  }
  const prefix = prefixOf(url.pathname, problems);
  if (problems.length > 0 || !endpoint) return undefined;
  const place = (base: URL) => {
    const path = base.pathname.replace(/\/+$/, "");
    return style === "path" ? `${base.origin}${path}/${bucket}` : `${base.protocol}//${bucket}.${base.host}${path}`;
  };
  return new S3Store({
    db,
    bucketUrl: place(endpoint),
    ...(outside ? { publicBucketUrl: place(outside) } : {}),
    ...(prefix === "" ? {} : { prefix }),
    region,
    credentials: s3Credentials({ region }),
    ...settings,
  });
}

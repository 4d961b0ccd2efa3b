import type { Database } from "../../database/open";
import type { StoreSettings } from "../open";
import { endpointOf, prefixOf, queryOf } from "../query";
import { s3Credentials } from "./credentials";
import { S3Store } from "./store";

const BUCKET = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;
const REGION = /^[a-z0-9-]{1,40}$/;

/** The store that an `s3:` URL names; problems are added to the list. */
export function s3Store(url: URL, db: Database, settings: StoreSettings, problems: string[]): S3Store | undefined {
  const query = queryOf(url, ["region", "endpoint", "style", "public"], problems);
  const bucket = url.hostname;
  if (!BUCKET.test(bucket)) problems.push("bucket: expected 3 to 63 of [a-z0-9.-]");
  const region = query.region ?? process.env.AWS_REGION ?? process.env.AWS_DEFAULT_REGION ?? "us-east-1";
  if (!REGION.test(region)) problems.push("region: expected [a-z0-9-]");
  const style = query.style ?? (query.endpoint === undefined ? "virtual" : "path");
  if (style !== "path" && style !== "virtual") problems.push("style: expected path or virtual");
  const endpoint = endpointOf("endpoint", query.endpoint ?? `https://s3.${region}.amazonaws.com`, problems);
  const outside = query.public === undefined ? undefined : endpointOf("public", query.public, problems);
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
    credentials: s3Credentials(region),
    ...settings,
  });
}

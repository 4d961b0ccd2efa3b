/** What S3 means by a refusal, and what to do about it. Source: "Error responses", Amazon S3 API reference. */
import { textOf } from "../answer";
import type { Refusal } from "../call";
import { wordOf } from "../issuer";
import { xmlText } from "../xml";
import { REGION } from "./regions";

/** @param region which the store's URL names. */
export async function s3Refusal(answer: Response, method: string, region: string): Promise<Refusal> {
  // An answer to HEAD has no body; the header tells where the bucket is.
  const text = method === "HEAD" ? "" : await textOf(answer);
  const code = wordOf(xmlText(text, "Code")) || undefined;
  const at = answer.headers.get("x-amz-bucket-region") ?? xmlText(text, "Region");
  if (at !== undefined && REGION.test(at) && at !== region) {
    return { code, remedy: `the bucket is in region ${at}, the store's URL says ${region}. Give region=${at} there` };
  }
  switch (code) {
    case "RequestTimeTooSkewed":
      return { code, remedy: "the ledger's clock differs from the store's. Set it by NTP" };
    case "ExpiredToken":
    case "TokenRefreshRequired":
      return { code, remedy: "the credentials ended before their time. Whoever gave them out ended the session" };
    case "TemporaryRedirect":
      return { code, remedy: "the bucket is new, and its region not known everywhere yet", later: true };
  }
  if (answer.status < 300 || answer.status >= 400) return { code };
  return { code, remedy: "the bucket is at another endpoint. Give its own in the store's URL, with its region" };
}

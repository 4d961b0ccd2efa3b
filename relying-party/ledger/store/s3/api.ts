/** Requests of the S3 API, signed with SigV4. */
import type { AwsClient } from "aws4fetch";
import { PAGE_BYTES, pagesOf, textOf } from "../answer";
import { CALL_MS, callStore } from "../call";
import { xmlAll, xmlText } from "../xml";
import type { S3Credentials } from "./issued";
import { s3Refusal } from "./refusal";

export interface S3Place {
  /** Where the bucket is: `https://<endpoint>/<bucket>` (path style) or `https://<bucket>.<endpoint>`, no slash at the end. */
  readonly bucketUrl: string;
  /** What guests and owners use instead of `bucketUrl` when they reach the store by another name. */
  readonly publicBucketUrl?: string;
  /** Before every name: `team/a/`. Default: none. */
  readonly prefix?: string;
  readonly region: string;
  readonly credentials: () => Promise<S3Credentials>;
}

type Query = Readonly<Record<string, string>>;

/** The longest that SigV4 allows, seconds. */
const MAX_EXPIRY = 7 * 24 * 3600;

export class S3Api {
  constructor(private readonly place: S3Place) {}

  /** @param until seconds since 1970; the URL ends earlier when the credentials do. */
  async presigned(method: "GET" | "PUT", name: string, query: Query, until: number): Promise<string> {
    const url = this.#url(name, query, this.place.publicBucketUrl ?? this.place.bucketUrl);
    const seconds = until - Math.floor(Date.now() / 1000);
    url.searchParams.set("X-Amz-Expires", String(Math.min(Math.max(1, seconds), MAX_EXPIRY)));
    const signed = await (await this.#client()).sign(url.href, { method, aws: { signQuery: true } });
    return signed.url;
  }

  /**
   * @param accept statuses besides 2xx that are an answer.
   * @throws LedgerError BUSY when the store does not answer, STORE_REFUSED when it says no.
   */
  call(method: string, name: string, query: Query, body?: string, accept: readonly number[] = []): Promise<Response> {
    return callStore({
      what: `${method} ${name || "bucket"}`,
      once: () => this.#once(method, name, query, body),
      accept,
      why: (answer) => s3Refusal(answer, method, this.place.region),
    });
  }

  /** Names below a prefix, in pages. @throws LedgerError, also STORE_ANSWER. */
  list(prefix: string): AsyncGenerator<readonly string[]> {
    const own = this.place.prefix ?? "";
    return pagesOf(async (token) => {
      const query = { "list-type": "2", prefix: own + prefix, ...(token ? { "continuation-token": token } : {}) };
      const text = await textOf(await this.call("GET", "", query), PAGE_BYTES);
      const names = xmlAll(text, "Contents").map((content) => (xmlText(content, "Key") ?? "").slice(own.length));
      return { names, next: xmlText(text, "NextContinuationToken") || undefined };
    });
  }

  async #once(method: string, name: string, query: Query, body: string | undefined): Promise<Response> {
    const url = this.#url(name, query, this.place.bucketUrl).href;
    const client = await this.#client();
    const signed = await client.sign(url, { method, ...(body === undefined ? {} : { body }) });
    // A redirect of the store is not followed: the signature is for this address.
    return fetch(signed, { redirect: "manual", signal: AbortSignal.timeout(CALL_MS) });
  }

  #url(name: string, query: Query, base: string): URL {
    const url = new URL(name === "" ? base : `${base}/${this.place.prefix ?? ""}${name}`);
    for (const [key, value] of Object.entries(query)) url.searchParams.set(key, value);
    return url;
  }

  async #client(): Promise<AwsClient> {
    // Not every ledger has an S3 store.
    const { AwsClient } = await import("aws4fetch");
    const { accessKeyId, secretAccessKey, sessionToken } = await this.place.credentials();
    const token = sessionToken === undefined ? {} : { sessionToken };
    return new AwsClient({
      accessKeyId,
      secretAccessKey,
      ...token,
      service: "s3",
      region: this.place.region,
      retries: 0,
    });
  }
}

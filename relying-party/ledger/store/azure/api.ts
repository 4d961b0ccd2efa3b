/** Requests of the Blob service, with a token of the ledger's identity. */
import { LedgerError } from "../../errors";
import { PAGE_BYTES, pagesOf, textOf } from "../answer";
import { CALL_MS, callStore } from "../call";
import { xmlAll, xmlText } from "../xml";
import { type DelegationKey, delegationKeyOf, sasOf, timeText, VERSION } from "./sas";

export interface AzurePlace {
  /** `https://<account>.blob.core.windows.net`, no slash at the end. */
  readonly serviceUrl: string;
  readonly account: string;
  readonly container: string;
  /** Before every name: `team/a/`. Default: none. */
  readonly prefix?: string;
  readonly token: () => Promise<string>;
}

export interface AzureCall {
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Statuses besides 2xx that are an answer. */
  readonly accept?: readonly number[];
}

/** Storage gives keys for a week at most; a key of two days signs URLs of at least one. */
const KEY_SECONDS = 2 * 24 * 3600;
/** Clocks differ. */
const SKEW_SECONDS = 15 * 60;

export class AzureApi {
  #key: Promise<DelegationKey> | undefined;
  #keyUntil = 0;

  constructor(private readonly place: AzurePlace) {}

  /** @param until seconds since 1970; the URL ends earlier when the key that signs it does. */
  async signed(
    permission: "r" | "w",
    name: string,
    query: Readonly<Record<string, string>>,
    until: number,
  ): Promise<string> {
    const key = await this.#delegationKey();
    const { account, container, serviceUrl } = this.place;
    const url = new URL(`${serviceUrl}/${container}/${this.#full(name)}`);
    const ends = Math.min(until, Math.floor(Date.parse(key.expiry) / 1000));
    const protocol = url.protocol === "https:" ? "https" : "https,http";
    const sas = sasOf(key, { account, blob: `${container}/${this.#full(name)}`, permission, until: ends, protocol });
    for (const [field, value] of Object.entries({ ...query, ...sas })) url.searchParams.set(field, value);
    return url.href;
  }

  /** @param name of an object; "": the container. @throws LedgerError BUSY or STORE_REFUSED. */
  call(method: string, name: string, { query = {}, headers = {}, body, accept }: AzureCall = {}): Promise<Response> {
    const { container, serviceUrl } = this.place;
    const url = new URL(`${serviceUrl}/${container}${name === "" ? "" : `/${this.#full(name)}`}`);
    return this.#send(`${method} ${name || "container"}`, method, url, {
      query,
      headers,
      ...(body ? { body } : {}),
      ...(accept ? { accept } : {}),
    });
  }

  /** Names below a prefix, those without a committed block among them, in pages. @throws LedgerError, also STORE_ANSWER. */
  list(prefix: string): AsyncGenerator<readonly string[]> {
    const own = this.place.prefix ?? "";
    return pagesOf(async (marker) => {
      const query = {
        restype: "container",
        comp: "list",
        prefix: own + prefix,
        include: "uncommittedblobs",
        ...(marker === undefined ? {} : { marker }),
      };
      const text = await textOf(await this.call("GET", "", { query }), PAGE_BYTES);
      const names = xmlAll(text, "Blob").map((blob) => (xmlText(blob, "Name") ?? "").slice(own.length));
      return { names, next: xmlText(text, "NextMarker") || undefined };
    });
  }

  #full = (name: string): string => `${this.place.prefix ?? ""}${name}`;

  /** One key at a time, asked for again when it lives for less than half of its time. */
  #delegationKey(): Promise<DelegationKey> {
    if (this.#key && Date.now() < this.#keyUntil) return this.#key;
    this.#keyUntil = Number.POSITIVE_INFINITY;
    const asked = this.#askForKey().catch((error) => {
      this.#key = undefined;
      throw error;
    });
    this.#key = asked;
    asked.then(
      () => {
        this.#keyUntil = Date.now() + KEY_SECONDS * 500;
      },
      () => undefined,
    );
    return asked;
  }

  async #askForKey(): Promise<DelegationKey> {
    const now = Math.floor(Date.now() / 1000);
    const [start, expiry] = [timeText(now - SKEW_SECONDS), timeText(now + KEY_SECONDS)];
    const url = new URL(`${this.place.serviceUrl}/`);
    const answer = await this.#send("POST delegation key", "POST", url, {
      query: { restype: "service", comp: "userdelegationkey" },
      body: `<?xml version="1.0" encoding="utf-8"?><KeyInfo><Start>${start}</Start><Expiry>${expiry}</Expiry></KeyInfo>`,
    });
    const key = delegationKeyOf(await textOf(answer));
    if (key) return key;
    throw new LedgerError("BUSY", "object store: POST delegation key: the answer holds no key");
  }

  #send(
    what: string,
    method: string,
    url: URL,
    { query = {}, headers = {}, body, accept }: AzureCall,
  ): Promise<Response> {
    for (const [field, value] of Object.entries(query)) url.searchParams.set(field, value);
    return callStore({
      what,
      once: async () => {
        const authorization = `Bearer ${await this.place.token()}`;
        const own = { authorization, "x-ms-version": VERSION, "x-ms-date": new Date().toUTCString() };
        // A redirect of the store is not followed: the token is for this account.
        const init = { method, headers: { ...own, ...headers }, redirect: "manual" } as const;
        return fetch(url, { ...init, ...(body === undefined ? {} : { body }), signal: AbortSignal.timeout(CALL_MS) });
      },
      accept,
      why: async (answer) => ({ code: answer.headers.get("x-ms-error-code") ?? undefined }),
    });
  }
}

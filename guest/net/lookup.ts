/**
 * Host names without the C library's resolver: that one loads modules which the image's /etc/nsswitch.conf names, and
 * the image is not the runner. Node's own resolver speaks DNS only.
 */

import type { LookupAddress, LookupOptions } from "node:dns";
import { Resolver } from "node:dns/promises";
import { readFileSync } from "node:fs";
import { isIP } from "node:net";

type Done = (error: Error | null, address: string | LookupAddress[], family?: number) => void;
export type Lookup = (hostname: string, options: LookupOptions, done: Done) => void;

/** Drop-in for the `lookup` option of sockets. */
export const lookup: Lookup = lookupWith(() => undefined);

/** The same for names that somebody else has chosen. @param allow throws what the socket then fails with. */
export function lookupWith(allow: (address: string) => void): Lookup {
  return (hostname, options, done) => {
    resolveAll(hostname).then(
      (addresses) => {
        const fitting = addresses.filter((a) => !options.family || a.family === options.family);
        const [first] = fitting;
        if (!first) return done(notFound(hostname), "");
        try {
          for (const { address } of fitting) allow(address);
        } catch (error) {
          return done(error as Error, "");
        }
        if (options.all) done(null, fitting);
        else done(null, first.address, first.family);
      },
      () => done(notFound(hostname), ""),
    );
  };
}

async function resolveAll(hostname: string): Promise<LookupAddress[]> {
  const family = isIP(hostname);
  if (family) return [{ address: hostname, family }];
  if (hostname === "localhost") return [{ address: "127.0.0.1", family: 4 }];
  const resolver = new Resolver({ timeout: 5000, tries: 3 });
  for (const name of candidates(hostname)) {
    const found = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)]);
    const addresses = found.flatMap((r, i) =>
      r.status === "fulfilled" ? r.value.map((address) => ({ address, family: i === 0 ? 4 : 6 })) : [],
    );
    if (addresses.length > 0) return addresses;
  }
  return [];
}

/** The name, and with the search domains of /etc/resolv.conf, as a cluster's service names need them. */
function candidates(hostname: string): string[] {
  if (hostname.endsWith(".")) return [hostname];
  let domains: string[] = [];
  try {
    const line = /^search\s+(.*)$/m.exec(readFileSync("/etc/resolv.conf", "utf8"))?.[1] ?? "";
    domains = line.split(/\s+/).filter((d) => /^[A-Za-z0-9.-]+$/.test(d));
  } catch {
    // No such file: the name alone.
  }
  const searched = domains.map((domain) => `${hostname}.${domain}`);
  return hostname.split(".").length > 4 ? [hostname, ...searched] : [...searched, hostname];
}

const notFound = (hostname: string): NodeJS.ErrnoException =>
  Object.assign(new Error(`${hostname}: no address found`), { code: "ENOTFOUND" });

/**
 * Where a ledger may send guests and owners for objects. Its answers name URLs, and its operator is not trusted to know
 * the network of whoever follows them: nothing of that machine or link, and no cloud's metadata. Private networks stay:
 * stores are there (docs/protocol/README.md).
 */

/** What an address belongs to, when that is not for a store; undefined: a network, private or public. */
type Place = "loopback" | "unspecified" | "link-local" | "metadata" | "multicast";

/** Source: IANA special-purpose address registries; metadata services as the clouds document them. */
const PLACES: readonly (readonly [Place, string])[] = [
  ["loopback", "127.0.0.0/8"],
  ["loopback", "::1/128"],
  ["unspecified", "0.0.0.0/8"],
  ["unspecified", "::/128"],
  ["link-local", "169.254.0.0/16"],
  ["link-local", "fe80::/10"],
  // Azure's host, Oracle's and Alibaba's services, AWS and Google by IPv6.
  ["metadata", "168.63.129.16/32"],
  ["metadata", "192.0.0.0/24"],
  ["metadata", "100.100.100.200/32"],
  ["metadata", "fd00:ec2::/32"],
  ["metadata", "fd20:ce::/32"],
  ["multicast", "224.0.0.0/3"],
  ["multicast", "ff00::/8"],
];
/** IPv6 in which an IPv4 address is: prefix, its bits, byte at which it begins. */
const CARRIERS: readonly (readonly [string, number, number])[] = [
  ["64:ff9b::", 96, 12],
  ["64:ff9b:1::", 48, 12],
  ["::", 96, 12],
  ["2002::", 16, 2],
];

export interface Destinations {
  /** @returns why the ledger may not name this URL, without naming it; undefined: it may, if its address may. */
  urlProblem(url: string): string | undefined;
  /** Of what a name stands for, when it is connected to. */
  addressProblem(address: string): string | undefined;
}

/** @param ledgerUrl as the caller was configured: what is said of it is not the ledger's word. */
export function destinationsOf(ledgerUrl: string): Destinations {
  const ledger = new URL(ledgerUrl);
  // A ledger on this machine is one for development, and its store is there, too.
  const own = placeOfHost(ledger.hostname);
  const addressProblem = (address: string): string | undefined => {
    const place = placeOf(address);
    if (place === "unknown") return "leads to no IP address";
    return place === undefined || place === own ? undefined : `leads to a ${place} address`;
  };
  return {
    addressProblem,
    urlProblem(text) {
      const url = URL.canParse(text) ? new URL(text) : undefined;
      if (!url) return "is none";
      if (url.origin === ledger.origin) return undefined;
      if (url.username !== "" || url.password !== "") return "holds a login";
      const place = placeOfHost(url.hostname);
      if (place !== undefined && place !== own) return `leads to a ${place} address`;
      if (url.protocol === "https:" || (url.protocol === "http:" && place === "loopback")) return undefined;
      return "is not https";
    },
  };
}

/** Of the host in a URL: an address, or a name that stands for this machine wherever it is asked. */
function placeOfHost(hostname: string): Place | undefined {
  const host = hostname.replace(/^\[|\]$|\.$/g, "");
  if (host === "localhost" || host.endsWith(".localhost")) return "loopback";
  const place = placeOf(host);
  return place === "unknown" ? undefined : place;
}

function placeOf(address: string): Place | "unknown" | undefined {
  const bytes = addressBytes(address);
  if (!bytes) return "unknown";
  const found = PARSED.find(({ net, bits }) => within(bytes, net, bits));
  if (found) return found.place;
  const carrier = CARRIERS.find(([net, bits]) => within(bytes, addressBytes(net) ?? bytes, bits));
  return carrier ? placeOf([...bytes.subarray(carrier[2], carrier[2] + 4)].join(".")) : undefined;
}

function within(bytes: Uint8Array, net: Uint8Array, bits: number): boolean {
  return bytes.every((byte, i) => {
    const mask = 0xff & (0xff00 >> Math.min(8, Math.max(0, bits - 8 * i)));
    return (byte & mask) === ((net[i] ?? 0) & mask);
  });
}

/** 16 bytes; IPv4 as its mapped form. @returns undefined for what is no address. */
function addressBytes(text: string): Uint8Array | undefined {
  const plain = text.split("%")[0] ?? "";
  const four = fourBytes(plain);
  if (four) return new Uint8Array([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ...four]);
  const halves = plain.split("::");
  if (!plain.includes(":") || halves.length > 2) return undefined;
  const [head, tail] = halves.map((half) => (half === "" ? [] : half.split(":").map(groupBytes)));
  const front = (head ?? []).flat();
  const back = (tail ?? []).flat();
  const gap = 16 - front.length - back.length;
  if ([...front, ...back].includes(undefined) || (tail === undefined ? gap !== 0 : gap < 2)) return undefined;
  return new Uint8Array([...front, ...Array<number>(gap).fill(0), ...back] as number[]);
}

function groupBytes(group: string): (number | undefined)[] {
  const four = fourBytes(group);
  if (four) return four;
  if (!/^[0-9a-f]{1,4}$/i.test(group)) return [undefined];
  const value = Number.parseInt(group, 16);
  return [value >> 8, value & 0xff];
}

function fourBytes(text: string): number[] | undefined {
  const parts = /^\d{1,3}(\.\d{1,3}){3}$/.test(text) ? text.split(".").map(Number) : [];
  return parts.length === 4 && parts.every((part) => part <= 255) ? parts : undefined;
}

const PARSED = PLACES.map(([place, cidr]) => {
  const [address = "", bits = ""] = cidr.split("/");
  const four = fourBytes(address) !== undefined;
  const net = addressBytes(address);
  if (!net) throw new Error(`${cidr}: no network`);
  return { place, net, bits: Number(bits) + (four ? 96 : 0) };
});

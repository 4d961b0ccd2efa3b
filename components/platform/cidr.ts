/** IPv4 networks such as `10.224.0.0/16`, as far as plans of networks can be wrong. */

interface Range {
  readonly first: number;
  readonly last: number;
}

/** @returns undefined for what is no network: a bad number, or an address with bits behind the prefix. */
function rangeOf(cidr: string): Range | undefined {
  const [, address = "", bits = ""] = /^([0-9.]+)\/([0-9]{1,2})$/.exec(cidr) ?? [];
  const octets = address.split(".").map(Number);
  const size = 2 ** (32 - Number(bits));
  if (octets.length !== 4 || octets.some((octet) => octet > 255) || bits === "" || Number(bits) > 32) return undefined;
  const first = octets.reduce((sum, octet) => sum * 256 + octet, 0);
  return first % size === 0 ? { first, last: first + size - 1 } : undefined;
}

export interface NetworkPlan {
  /** Networks by the argument that names them. None of them may overlap. */
  readonly apart: Readonly<Record<string, string>>;
  /** Argument to the argument of the network that must contain it. */
  readonly inside?: Readonly<Record<string, { readonly name: string; readonly cidr: string }>>;
}

/** @returns one line for each network that is none, lies outside, or overlaps another. */
export function networkProblems({ apart, inside = {} }: NetworkPlan): string[] {
  const all = { ...apart, ...Object.fromEntries(Object.values(inside).map(({ name, cidr }) => [name, cidr])) };
  const bad = Object.entries(all)
    .filter(([, cidr]) => rangeOf(cidr) === undefined)
    .map(([name, cidr]) => `${name}: "${cidr}" is no network; write it like 10.224.0.0/16`);
  if (bad.length > 0) return bad;
  const outside = Object.entries(inside).flatMap(([name, outer]) => {
    const [a, b] = [rangeOf(apart[name] ?? ""), rangeOf(outer.cidr)];
    if (!a || !b || (a.first >= b.first && a.last <= b.last)) return [];
    return [`${name}: ${apart[name]} is not inside ${outer.name} ${outer.cidr}; take a part of it`];
  });
  const names = Object.keys(apart);
  const overlaps = names.flatMap((name, i) =>
    names.slice(i + 1).flatMap((other) => {
      const [a, b] = [rangeOf(apart[name] ?? ""), rangeOf(apart[other] ?? "")];
      if (!a || !b || a.last < b.first || b.last < a.first) return [];
      return [`${other}: ${apart[other]} overlaps ${name} ${apart[name]}; take another`];
    }),
  );
  return [...outside, ...overlaps];
}

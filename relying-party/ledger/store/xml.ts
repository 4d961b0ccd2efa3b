/**
 * The few elements that are read from a store's XML answers. Names of objects are hex, so no text has children, and the
 * only entities are those that every XML has.
 */

const ENTITIES: Record<string, string> = { quot: '"', apos: "'", lt: "<", gt: ">", amp: "&" };
const decode = (text: string): string =>
  text.replace(/&(?:#(\d+)|#x([0-9a-f]+)|(quot|apos|lt|gt|amp));/gi, (_, d, x, name) =>
    name ? (ENTITIES[name] as string) : String.fromCodePoint(d ? Number(d) : Number.parseInt(x, 16)),
  );

/** Text of the first element of that name. */
export function xmlText(xml: string, name: string): string | undefined {
  const found = new RegExp(`<${name}(?:\\s[^>]*)?>([^<]*)</${name}>`).exec(xml)?.[1];
  return found === undefined ? undefined : decode(found);
}

/** Insides of all elements of that name. */
export const xmlAll = (xml: string, name: string): string[] =>
  [...xml.matchAll(new RegExp(`<${name}(?:\\s[^>]*)?>(.*?)</${name}>`, "gs"))].map(([, inside = ""]) => inside);

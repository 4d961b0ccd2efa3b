/**
 * The few elements that are read from a store's XML answers. Names of objects are hex, so no text has children, and the
 * only entities are those that every XML has. Answers are a store's, which is not trusted: each is passed over once,
 * whatever is in it.
 */

const ENTITIES: Record<string, string> = { quot: '"', apos: "'", lt: "<", gt: ">", amp: "&" };
const MAX_CODE_POINT = 0x10ffff;
const decode = (text: string): string =>
  text.replace(/&(?:#(\d+)|#x([0-9a-f]+)|(quot|apos|lt|gt|amp));/gi, (entity, d, x, name: string) => {
    if (name) return ENTITIES[name.toLowerCase()] ?? entity;
    const point = d ? Number(d) : Number.parseInt(x, 16);
    return point <= MAX_CODE_POINT ? String.fromCodePoint(point) : entity;
  });

/** Text of the first element of that name that has text alone. */
export function xmlText(xml: string, name: string): string | undefined {
  for (let at = startOf(xml, name, 0); at !== undefined; at = startOf(xml, name, at)) {
    const end = xml.indexOf("<", at);
    if (end < 0) return undefined;
    if (xml.startsWith(`</${name}>`, end)) return decode(xml.slice(at, end));
  }
  return undefined;
}

/** Insides of all elements of that name. */
export function xmlAll(xml: string, name: string): string[] {
  const found: string[] = [];
  const close = `</${name}>`;
  for (let at = startOf(xml, name, 0); at !== undefined; ) {
    const end = xml.indexOf(close, at);
    if (end < 0) break;
    found.push(xml.slice(at, end));
    at = startOf(xml, name, end + close.length);
  }
  return found;
}

/** @returns where the next element of that name has its inside; undefined: there is none. */
function startOf(xml: string, name: string, from: number): number | undefined {
  const open = `<${name}`;
  for (let at = xml.indexOf(open, from); at >= 0; at = xml.indexOf(open, at + open.length)) {
    const next = xml[at + open.length] ?? "";
    if (next === ">") return at + open.length + 1;
    if (!/\s/.test(next)) continue;
    const end = xml.indexOf(">", at);
    return end < 0 ? undefined : end + 1;
  }
  return undefined;
}

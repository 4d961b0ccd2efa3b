/** Parameters of a store's URL: each is known or told. */

/** @returns the parameters; unknown and repeated ones are added to `problems`. */
export function queryOf<K extends string>(
  url: URL,
  known: readonly K[],
  problems: string[],
): Partial<Record<K, string>> {
  const found: Partial<Record<K, string>> = {};
  for (const [key, value] of url.searchParams) {
    const name = known.find((k) => k === key);
    if (name === undefined) problems.push(`unknown parameter "${key.slice(0, 40)}" (has ${known.join(", ")})`);
    else if (found[name] !== undefined) problems.push(`${key} stands twice`);
    else found[name] = value;
  }
  return found;
}

/** Base of an endpoint, without a slash at the end; plain http only to this machine. */
export function endpointOf(name: string, text: string, problems: string[]): URL | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const loopback = url !== undefined && /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/.test(url.hostname);
  if (url?.protocol === "https:" || (url?.protocol === "http:" && loopback)) return url;
  problems.push(`${name}: expected an https URL (http only to this machine)`);
  return undefined;
}

/** `/team/a` → `team/a/`; nothing → "". */
export function prefixOf(pathname: string, problems: string[]): string {
  const inside = pathname.replace(/^\/+|\/+$/g, "");
  if (inside === "") return "";
  if (inside.split("/").every((part) => /^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(part))) return `${inside}/`;
  problems.push("prefix: expected parts of [A-Za-z0-9._-]");
  return "";
}

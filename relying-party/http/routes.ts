/**
 * Ways to a relying party that differ from the guests': a port-forward, a tunnel, an ingress that passes TLS through.
 * A route says where to connect; the certificate is still checked for the name in the URL and the pinned CA, so whoever
 * is on the way sees and changes nothing. Routes never change an identity, and never get into a stack's state.
 */
import { readFileSync } from "node:fs";
import * as path from "node:path";
import { HttpError } from "./errors";

/** Origin (`https://kbs.sealflow.svc:8080`) to `host:port`. */
export type Routes = ReadonlyMap<string, string>;

export const ROUTES_VARIABLE = "SEALFLOW_ROUTES";

/**
 * @param home state folder; `routes.json` in it is an object of the same pairs.
 * @param env SEALFLOW_ROUTES: `<origin>=<host>:<port>`, several separated by commas; wins over the file.
 * @throws HttpError ROUTES naming every line that cannot be used.
 */
export function readRoutes(home: string, env: Readonly<Record<string, string | undefined>>): Routes {
  const file = path.join(home, "routes.json");
  const routes = new Map<string, string>();
  const problems: string[] = [];
  const add = (where: string, from: string, to: unknown): void => {
    const url = URL.canParse(from) ? new URL(from) : undefined;
    const problem =
      url?.protocol !== "https:" || url.pathname !== "/" || url.search !== ""
        ? `"${from}" is no https origin`
        : typeof to !== "string" || !isHostPort(to)
          ? `"${String(to)}" is no host:port`
          : undefined;
    if (problem) problems.push(`${where}: ${problem}`);
    else if (url) routes.set(url.origin, to as string);
  };
  for (const [from, to] of Object.entries(readFile(file, problems))) add(file, from, to);
  for (const pair of (env[ROUTES_VARIABLE] ?? "").split(",").filter((text) => text.trim() !== "")) {
    const cut = pair.lastIndexOf("=");
    add(ROUTES_VARIABLE, pair.slice(0, Math.max(cut, 0)).trim(), pair.slice(cut + 1).trim());
  }
  if (problems.length > 0) {
    const example = "https://kbs.sealflow.svc:8080=127.0.0.1:18080";
    throw new HttpError("ROUTES", `${problems.join("; ")}. A route is written like ${example}`);
  }
  return routes;
}

/** @param hostPort `name:1`, `1.2.3.4:1` or `[::1]:1`. */
export function splitHostPort(hostPort: string): { host: string; port: number } {
  const cut = hostPort.lastIndexOf(":");
  return { host: hostPort.slice(0, cut).replace(/^\[|\]$/g, ""), port: Number(hostPort.slice(cut + 1)) };
}

function isHostPort(text: string): boolean {
  if (!/^([A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]):[0-9]{1,5}$/.test(text)) return false;
  const { port } = splitHostPort(text);
  return port >= 1 && port <= 65_535;
}

function readFile(file: string, problems: string[]): Record<string, unknown> {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return {};
    throw error;
  }
  try {
    const found: unknown = JSON.parse(text);
    if (typeof found === "object" && found !== null && !Array.isArray(found)) return found as Record<string, unknown>;
  } catch {
    // told below
  }
  problems.push(`${file}: not a JSON object`);
  return {};
}

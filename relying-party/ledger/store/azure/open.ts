import type { Database } from "../../database/open";
import type { StoreSettings } from "../open";
import { endpointOf, prefixOf, queryOf } from "../query";
import { AzureBlobStore } from "./store";
import { entraTokens } from "./token";

const ACCOUNT = /^[a-z0-9]{3,24}$/;
const CONTAINER = /^[a-z0-9](?:-?[a-z0-9]){2,62}$/;

/** The store that an `https:` URL names; problems are added to the list. */
export function azureStore(
  url: URL,
  db: Database,
  settings: StoreSettings,
  problems: string[],
): AzureBlobStore | undefined {
  const query = queryOf(url, ["account"], problems);
  const endpoint = endpointOf("URL", url.origin, problems);
  const [first = "", ...rest] = url.pathname.split("/").filter((part) => part !== "");
  const path = query.account === undefined ? [first, ...rest] : rest;
  if (query.account !== undefined && first !== query.account) problems.push("account: its name must begin the path");
  const account = query.account ?? /^([^.]+)\.blob\./.exec(url.hostname)?.[1] ?? "";
  if (!ACCOUNT.test(account)) problems.push("account: expected https://<account>.blob.core.windows.net/<container>");
  const [container = "", ...prefix] = path;
  if (!CONTAINER.test(container)) problems.push("container: expected 3 to 63 of [a-z0-9-]");
  const below = prefixOf(prefix.join("/"), problems);
  if (problems.length > 0 || !endpoint) return undefined;
  return new AzureBlobStore({
    db,
    serviceUrl: query.account === undefined ? endpoint.origin : `${endpoint.origin}/${account}`,
    account,
    container,
    ...(below === "" ? {} : { prefix: below }),
    token: entraTokens(),
    ...settings,
  });
}

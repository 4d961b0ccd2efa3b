/** An object store other than the embedded one: chosen at the first start and kept, since runs have their objects there. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { DevError } from "./errors";
import { type DevPaths, devPaths, readIfThere, writePrivate } from "./files";

const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3})$/;

/**
 * @param wanted URL from the command line. @returns the store's URL; undefined for the embedded one.
 * @throws DevError STATE when the ledger has its objects elsewhere, or guests could not reach it.
 */
export function chooseStore(paths: DevPaths, wanted: string | undefined): string | undefined {
  const known = readIfThere(paths.store);
  if (wanted === undefined || wanted === known) return known;
  if (known !== undefined || existsSync(join(paths.ledger, "ledger.key"))) {
    const where = known ?? "the embedded store";
    throw new DevError(
      "STATE",
      `store: this ledger has its objects in ${where}. Remove dev/ to begin anew, then deploy again`,
    );
  }
  endpointOfStore(wanted);
  writePrivate(paths.store, wanted);
  return wanted;
}

/** Address of the store of this home, which simulated guests must reach; undefined for the embedded one. */
export function devStoreOrigin(home: string): string | undefined {
  const url = readIfThere(devPaths(home).store);
  return url === undefined ? undefined : endpointOfStore(url).origin;
}

/** Of Azure Blob its URL is the address itself. @throws DevError STATE */
function endpointOfStore(store: string): URL {
  const url = URL.canParse(store) ? new URL(store) : undefined;
  const text = url?.protocol === "http:" ? store : (url?.searchParams.get("endpoint") ?? "");
  const endpoint = URL.canParse(text) ? new URL(text) : undefined;
  if (endpoint && LOOPBACK.test(endpoint.hostname)) return endpoint;
  throw new DevError(
    "STATE",
    "store: simulated guests reach this machine only. Add endpoint=http://127.0.0.1:<port> to a bucket's URL, or give http://127.0.0.1:<port>/<account>/<container>?account=<account>",
  );
}

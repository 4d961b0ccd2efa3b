/** HTTPS on 127.0.0.1 for a function from Request to Response. */
import { once } from "node:events";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { createAdaptorServer, type Http2Bindings, type HttpBindings } from "@hono/node-server";
import type { ServerIdentity } from "./certificates";
import { DevError } from "./errors";
import { holderOfPort } from "./process";

/** @param served what Node's server gives beside the request. */
export type Handle = (req: Request, served: HttpBindings | Http2Bindings) => Promise<Response>;

export interface Listener {
  readonly port: number;
  /** Renewed leaf: new connections use it. */
  renew(identity: ServerIdentity): void;
  close(): Promise<void>;
}

/**
 * @param port 0: any free one.
 * @throws DevError PORT_TAKEN, naming the process that has it if that can be found out.
 */
export async function listen(what: string, port: number, identity: ServerIdentity, handle: Handle): Promise<Listener> {
  const server = createAdaptorServer({
    fetch: handle,
    createServer,
    serverOptions: { cert: identity.certPem, key: identity.keyPem, minVersion: "TLSv1.2" },
    overrideGlobalObjects: false,
  }) as Server;
  // Uploads of large objects take longer than Node's five minutes.
  server.requestTimeout = 0;
  server.listen(port, "127.0.0.1");
  try {
    await once(server, "listening");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
    const holder = holderOfPort(port) ?? "another program";
    throw new DevError(
      "PORT_TAKEN",
      `port ${port} of the ${what} is taken by ${holder}; stop it. The port is part of every step's identity, ` +
        "so it is not changed by itself: remove dev/ports.json to choose new ones, then deploy again",
      { cause: error },
    );
  }
  return {
    port: (server.address() as AddressInfo).port,
    renew: ({ certPem, keyPem }) => server.setSecureContext({ cert: certPem, key: keyPem, minVersion: "TLSv1.2" }),
    close: async () => {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

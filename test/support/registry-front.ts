/** Stands before a registry and passes everything on, except what it is told to refuse: an outage of some of it. */
import { once } from "node:events";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";

export interface RegistryFront {
  /** `127.0.0.1:<port>`, to be named instead of the registry's own. */
  readonly host: string;
  /** Answers 503 to every `METHOD /path` that it matches, until the returned function is called. */
  refuse(what: RegExp): () => void;
  stop(): Promise<void>;
}

/** @param registry its `127.0.0.1:<port>`. */
export async function startRegistryFront(registry: string): Promise<RegistryFront> {
  let refused: RegExp | undefined;
  const server = createServer((asked, answer) => {
    if (refused?.test(`${asked.method} ${asked.url}`)) {
      asked.resume();
      answer.writeHead(503).end();
      return;
    }
    // With the name it was called by, from which the registry makes the places of uploads.
    const { method, headers } = asked;
    const passed = request(`http://${registry}${asked.url}`, { method, headers }, (got) => {
      answer.writeHead(got.statusCode as number, got.headers);
      got.pipe(answer);
    });
    passed.on("error", () => answer.destroy());
    asked.pipe(passed);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    refuse(what) {
      refused = what;
      return () => {
        refused = undefined;
      };
    },
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

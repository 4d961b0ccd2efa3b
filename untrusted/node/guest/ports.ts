/** The guest's way out: a loopback port whose connections go through a unix socket to the host. */

import { once } from "node:events";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import type { GuestConfig } from "./messages";

/** @returns close function. */
export async function openPorts(ports: GuestConfig["ports"]): Promise<() => void> {
  const servers = await Promise.all(
    ports.map(async ({ port, socket }) => {
      const server = createServer((inner) => {
        const outer = connect(join(socket));
        for (const [a, b] of [
          [inner, outer],
          [outer, inner],
        ] as const) {
          a.on("error", () => b.destroy());
          a.on("close", () => b.destroy());
        }
        inner.pipe(outer).pipe(inner);
      });
      server.listen(port, "127.0.0.1");
      await once(server, "listening");
      return server;
    }),
  );
  return () => {
    for (const server of servers) server.close();
  };
}

/** The host's end of a guest's way out: a unix socket whose connections go to one address of the host. */
import { once } from "node:events";
import { connect, createServer, type Server } from "node:net";

export interface Target {
  readonly host: string;
  readonly port: number;
  /** Port at which the guest finds it. */
  readonly seenAs: number;
}

/** Listens at `path` (at most 107 bytes). */
export async function relay(path: string, { host, port }: Pick<Target, "host" | "port">): Promise<Server> {
  const server = createServer((inner) => {
    const outer = connect(port, host);
    for (const [a, b] of [
      [inner, outer],
      [outer, inner],
    ] as const) {
      a.on("error", () => b.destroy());
      a.on("close", () => b.destroy());
    }
    inner.pipe(outer).pipe(inner);
  });
  server.listen(path);
  await once(server, "listening");
  // A forgotten guest must not keep the node alive.
  server.unref();
  return server;
}

/** The confidential data hub's REST endpoint as every container of a guest sees it: resources only. */
import { createServer, type Server } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { asGuestError } from "./errors";
import type { AttestationAgent } from "./kbs";

export const CDH_PORT = 8006;
const PATH =
  /^\/cdh\/resource\/([A-Za-z0-9_-][A-Za-z0-9_.-]*\/[A-Za-z0-9_-][A-Za-z0-9_.-]*\/[A-Za-z0-9_-][A-Za-z0-9_.-]*)$/;

/**
 * @param patient wait until another guest of this machine gives the port free (guests without a network of their own).
 * @returns close function.
 */
export async function serveCdh(agent: AttestationAgent, patient: boolean): Promise<() => void> {
  const server = createServer((request, response) => {
    const path = PATH.exec(request.url ?? "")?.[1];
    if (path === undefined) {
      response.writeHead(404, { "content-type": "text/plain" }).end("not found");
      return;
    }
    agent.resource(path).then(
      (bytes) => response.writeHead(200, { "content-type": "application/octet-stream" }).end(bytes),
      // As the real one: 500 whatever the reason, which is in the text.
      (error) => response.writeHead(500, { "content-type": "text/plain" }).end(asGuestError(error).message),
    );
  });
  for (;;) {
    try {
      await listen(server);
      return () => {
        server.close();
        server.closeAllConnections();
      };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE" || !patient) throw error;
      await sleep(50);
    }
  }
}

function listen(server: Server): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(CDH_PORT, "127.0.0.1", () => {
      server.removeListener("error", reject);
      resolve();
    });
  });
}

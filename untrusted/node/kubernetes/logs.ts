/** The part of the kubelet's API that `kubectl logs` needs. Only the API server may call it. */
import { createReadStream, existsSync } from "node:fs";
import { createServer } from "node:https";
import type { TLSSocket } from "node:tls";

export interface KubeletTls {
  readonly cert: string;
  readonly key: string;
  /** CA of its callers. */
  readonly ca: string;
}
export interface KubeletApi {
  readonly port: number;
  close(): void;
}

/** Common name in the API server's client certificate. */
const CALLER = "kube-apiserver-kubelet-client";
const PATH = /^\/containerLogs\/([a-z0-9-]+)\/([a-z0-9.-]+)\/([a-z0-9-]+)$/;

/** @param logOf the log's file; undefined: no such pod here. */
export async function serveLogs(
  { cert, key, ca }: KubeletTls,
  logOf: (namespace: string, pod: string, container: string) => string | undefined,
): Promise<KubeletApi> {
  const server = createServer({ cert, key, ca, requestCert: true, rejectUnauthorized: true }, (request, response) => {
    if ((request.socket as TLSSocket).getPeerCertificate().subject?.CN !== CALLER) {
      response.writeHead(403).end();
      return;
    }
    const [, namespace, pod, container] = PATH.exec((request.url ?? "").split("?")[0] ?? "") ?? [];
    const file = namespace && pod && container ? logOf(namespace, pod, container) : undefined;
    if (request.method !== "GET" || file === undefined) {
      response.writeHead(404).end("no such container here\n");
      return;
    }
    response.writeHead(200, { "content-type": "text/plain" });
    if (!existsSync(file)) response.end();
    else
      createReadStream(file)
        .on("error", () => response.destroy())
        .pipe(response);
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => resolve((server.address() as { port: number }).port));
  });
  return {
    port,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

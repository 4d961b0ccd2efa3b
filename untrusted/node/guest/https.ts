/** Small HTTPS calls to the KBS, its CA pinned from initdata. */

import type { IncomingHttpHeaders } from "node:http";
import { Agent, request } from "node:https";

const MAX_BYTES = 32 * 1024 * 1024;
const TIMEOUT_MS = 30_000;

export interface HttpsAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export class PinnedClient {
  readonly #agent: Agent;
  readonly #base: URL;

  constructor(url: string, caPem: string) {
    this.#base = new URL(url);
    this.#agent = new Agent({ ca: caPem, keepAlive: true, minVersion: "TLSv1.2" });
  }

  /** @param path begins with `/`. */
  call(
    method: string,
    path: string,
    headers: Record<string, string> = {},
    body?: string | Uint8Array,
  ): Promise<HttpsAnswer> {
    const url = new URL(this.#base.pathname.replace(/\/$/, "") + path, this.#base);
    return new Promise((resolve, reject) => {
      const options = { method, headers, agent: this.#agent, timeout: TIMEOUT_MS };
      const sent = request(url, options, (answer) => {
        const chunks: Buffer[] = [];
        let size = 0;
        answer.on("data", (chunk: Buffer) => {
          size += chunk.length;
          if (size > MAX_BYTES) sent.destroy(new Error("answer is too large"));
          else chunks.push(chunk);
        });
        answer.on("error", reject);
        answer.on("end", () =>
          resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(chunks) }),
        );
      });
      sent.on("timeout", () => sent.destroy(new Error("no answer in time")));
      sent.on("error", reject);
      sent.end(body);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}

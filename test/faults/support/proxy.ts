/** Stands between guests and the relying party: passes requests on, except those that a rule mistreats. */
import { once } from "node:events";
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import { createServer, request, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { ServerIdentity } from "../../../relying-party/dev/certificates";

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface Exchange {
  readonly method: string;
  readonly path: string;
  /** Sends the request on. @throws when the relying party does not answer. */
  forward(): Promise<Answer>;
  reply(answer: Answer): void;
  /** Ends the connection after so many bytes of the answer's body; none: without any answer. */
  cut(answer?: Answer, bytes?: number): void;
}

/** What happens to one request instead of passing it on. */
export type Fault = (exchange: Exchange) => Promise<void>;

const plain = (status: number): Answer => ({ status, headers: {}, body: Buffer.from("not today") });

/** The ways of a bad network. */
export const FAULTS = {
  "cut before it arrives": async (x) => x.cut(),
  "cut after it was carried out": async (x) => {
    await x.forward();
    x.cut();
  },
  "answered with 503": async (x) => x.reply(plain(503)),
  "answered with 500 after it was carried out": async (x) => {
    await x.forward();
    x.reply(plain(500));
  },
  "answer truncated": async (x) => {
    const answer = await x.forward();
    x.cut(answer, Math.floor(answer.body.length / 2));
  },
  slow: async (x) => {
    await sleep(2000);
    const answer = await x.forward();
    await sleep(2000);
    x.reply(answer);
  },
  duplicated: async (x) => {
    await x.forward();
    x.reply(await x.forward());
  },
} satisfies Record<string, Fault>;

export interface Rule {
  /** Of `METHOD /path`. */
  readonly on: RegExp;
  readonly fault: Fault;
  /** How many requests it mistreats; default 1. */
  times?: number;
}

export class FaultProxy {
  readonly #servers: Server[] = [];
  readonly #ports = new Map<number, number>();
  rules: Rule[] = [];
  /** `METHOD /path` of what went through, without queries. */
  readonly seen: string[] = [];
  /** Those that a rule mistreated. */
  readonly mistreated: string[] = [];

  /** @param targets ports of the relying party on 127.0.0.1. */
  static async start(targets: readonly number[], identity: ServerIdentity): Promise<FaultProxy> {
    const proxy = new FaultProxy();
    for (const target of targets) {
      const server = createServer({ cert: identity.certPem, key: identity.keyPem }, (incoming, outgoing) => {
        proxy.#handle(incoming, outgoing, target, identity.caPem).catch(() => outgoing.destroy());
      });
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      proxy.#servers.push(server);
      proxy.#ports.set(target, (server.address() as AddressInfo).port);
    }
    return proxy;
  }

  /** For the node's `route`. */
  readonly route = (port: number): number => this.#ports.get(port) ?? port;

  close(): void {
    for (const server of this.#servers) {
      server.close();
      server.closeAllConnections();
    }
  }

  async #handle(incoming: IncomingMessage, outgoing: ServerResponse, port: number, ca: string): Promise<void> {
    const pieces: Buffer[] = [];
    for await (const piece of incoming as AsyncIterable<Buffer>) pieces.push(piece);
    const { method = "", url = "/", headers } = incoming;
    const line = `${method} ${url.split("?")[0]}`;
    this.seen.push(line);
    const exchange: Exchange = {
      method,
      path: url,
      forward: () => send({ method, path: url, headers, port, ca }, Buffer.concat(pieces)),
      reply({ status, headers: given, body }) {
        outgoing.writeHead(status, { ...withoutLength(given), "content-length": body.length }).end(body);
      },
      cut(answer, bytes = 0) {
        if (!answer) outgoing.destroy();
        else {
          outgoing.writeHead(answer.status, { ...withoutLength(answer.headers), "content-length": answer.body.length });
          outgoing.write(answer.body.subarray(0, bytes), () => outgoing.destroy());
        }
      },
    };
    const rule = this.rules.find(({ on, times = 1 }) => times > 0 && on.test(line));
    if (!rule) return exchange.reply(await exchange.forward());
    rule.times = (rule.times ?? 1) - 1;
    this.mistreated.push(line);
    await rule.fault(exchange);
  }
}

function withoutLength({
  "transfer-encoding": _te,
  "content-length": _length,
  connection: _c,
  ...rest
}: IncomingHttpHeaders) {
  return rest;
}

interface Sent {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly port: number;
  readonly ca: string;
}

async function send({ method, path, headers, port, ca }: Sent, body: Buffer): Promise<Answer> {
  const sent = request({
    host: "127.0.0.1",
    port,
    ca,
    method,
    path,
    headers: { ...withoutLength(headers), "content-length": body.length },
    agent: false,
  });
  sent.end(body);
  const [answer] = (await once(sent, "response")) as [IncomingMessage];
  const pieces: Buffer[] = [];
  for await (const piece of answer as AsyncIterable<Buffer>) pieces.push(piece);
  return { status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(pieces) };
}

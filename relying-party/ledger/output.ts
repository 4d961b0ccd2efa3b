/** Answers in JSON. Through Node's own answer where there is one: a Response has a Web stream that must be read out. */
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import type { Http } from "./input";

type Status = 200 | 201;

/** What tells hono's adapter that nothing is left to send, and the metrics what was. */
const sent = new Map<Status, Response>(
  ([200, 201] as const).map((status) => [
    status,
    new Response(null, { status, headers: RESPONSE_ALREADY_SENT.headers }),
  ]),
);

export function json(c: Http, value: object, status: Status = 200): Response {
  const outgoing = c.env?.outgoing;
  const marker = sent.get(status);
  if (!outgoing || !marker) return Response.json(value, { status });
  const text = JSON.stringify(value);
  outgoing.writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(text) });
  outgoing.end(text);
  return marker;
}

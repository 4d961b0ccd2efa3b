/** Calls of an attacker to a service of the copy: no retries, and errors are answers too. */
import { Agent, request } from "node:https";
import { peekJws } from "../../../protocol/jws";
import { type ClaimAnswer, type CommitAnswer, claimAnswer, commitAnswer } from "../../../protocol/messages";
import type { Service, World } from "../types";

export interface Answer {
  readonly status: number;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly text: string;
  /** Of the error; the status when there is no code. */
  readonly code: string;
}

export interface Sent {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string | Uint8Array;
}

export function call(world: World, service: Service, path: string, sent: Sent = {}): Promise<Answer> {
  const agent = new Agent({ ca: world.connection.caPem });
  return new Promise((resolve, reject) => {
    const options = { host: "127.0.0.1", port: service.port, path, method: sent.method ?? "GET", agent };
    const out = request({ ...options, headers: sent.headers ?? {} }, (answer) => {
      const pieces: Buffer[] = [];
      answer.on("data", (piece: Buffer) => pieces.push(piece));
      answer.on("error", reject);
      answer.on("end", () => {
        agent.destroy();
        const text = Buffer.concat(pieces).toString("utf8");
        world.sees(text);
        const status = answer.statusCode ?? 0;
        resolve({ status, headers: answer.headers, text, code: codeOf(text, status) });
      });
    });
    out.on("error", reject);
    out.end(sent.body);
  });
}

function codeOf(text: string, status: number): string {
  const ledger = /"code":"([A-Z_]+)"/.exec(text)?.[1];
  const kbs = /"type"\s*:\s*"[^"]*\/([A-Za-z]+)"/.exec(text)?.[1];
  return ledger ?? kbs ?? (status < 400 ? "GRANTED" : `STATUS_${status}`);
}

const JSON_TYPE = { "content-type": "application/json" };

export const postToken = (world: World, path: string, token: string): Promise<Answer> =>
  call(world, world.ledger, path, { method: "POST", headers: JSON_TYPE, body: JSON.stringify({ token }) });

export const postJson = (
  world: World,
  service: Service,
  path: string,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> =>
  call(world, service, path, { method: "POST", headers: { ...JSON_TYPE, ...headers }, body: JSON.stringify(body) });

export const tokenIn = ({ text }: Pick<Answer, "text">): string => (JSON.parse(text) as { token: string }).token;
export const claimAnswerIn = (a: Answer): ClaimAnswer => peekJws("sealflow-claim-answer+jwt", tokenIn(a), claimAnswer);
export const commitAnswerIn = (a: Answer): CommitAnswer =>
  peekJws("sealflow-commit-answer+jwt", tokenIn(a), commitAnswer);

/** Path and query of a URL that the ledger made. */
export function pathOf(url: string): string {
  const { pathname, search } = new URL(url);
  return pathname + search;
}

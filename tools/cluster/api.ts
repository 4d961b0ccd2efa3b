/** The few requests with which a cluster is set up, and the wait until it is usable. */
import { readFileSync } from "node:fs";
import { request } from "node:https";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { caOf } from "./parts";

export interface ApiAnswer {
  readonly status: number;
  readonly body: string;
}

/** As the administrator. @param body JSON or YAML text. */
export function callApi(
  dir: string,
  url: string,
  method: string,
  path: string,
  body?: string,
  type = "application/json",
) {
  const ca = readFileSync(caOf(dir), "utf8");
  const token = readFileSync(join(dir, "admin.token"), "utf8");
  const headers = {
    authorization: `Bearer ${token}`,
    ...(body === undefined ? {} : { "content-type": type, "content-length": Buffer.byteLength(body) }),
  };
  return new Promise<ApiAnswer>((resolve, reject) => {
    const sent = request(`${url}${path}`, { method, ca, headers, timeout: 30_000, agent: false }, (answer) => {
      let text = "";
      answer.setEncoding("utf8");
      answer.on("data", (piece: string) => {
        text += piece;
      });
      answer.on("error", reject);
      answer.on("end", () => resolve({ status: answer.statusCode ?? 0, body: text }));
    });
    sent.on("timeout", () => sent.destroy(new Error("no answer in time")));
    sent.on("error", reject);
    sent.end(body);
  });
}

/** Server-side apply of one object. @throws Error with the server's words. */
export async function apply(dir: string, url: string, path: string, object: string): Promise<void> {
  const query = "?fieldManager=sealflow-test-cluster&force=true";
  const { status, body } = await callApi(dir, url, "PATCH", `${path}${query}`, object, "application/apply-patch+yaml");
  if (status >= 300) throw new Error(`${path}: ${status}: ${body.slice(0, 1000)}`);
}

/** Polls until the server has it. @throws Error after `milliseconds`. */
export async function waitFor(dir: string, url: string, path: string, milliseconds = 60_000): Promise<void> {
  for (const until = Date.now() + milliseconds; ; await sleep(50)) {
    const { status, body } = await callApi(dir, url, "GET", path);
    if (status === 200) return;
    if (Date.now() > until) throw new Error(`${path}: not there after ${milliseconds / 1000} s: ${body.slice(0, 500)}`);
  }
}

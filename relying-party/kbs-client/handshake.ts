/** A simulated guest's handshake, for checks of a KBS. Sample evidence only. */
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { decodeJwt, type JWTPayload } from "jose";
import { challenge, kbsJwe, openKbsJwe, requestFor, sampleAttestation } from "../../protocol/rcar";
import { parse } from "../../protocol/shape";
import type { HttpAnswer, HttpsClient } from "../http/client";
import { fromAnswer, fromHttp } from "./errors";

export interface SampleSession {
  readonly token: string;
  /** Claims of the token, not verified: the KBS is the one that relies on them. */
  readonly claims: JWTPayload;
  /** @param path `repository/type/tag`. @throws KbsError DENIED, or BAD_REQUEST when it is granted but absent. */
  resource(path: string): Promise<Uint8Array>;
}

/** @param initdata TOML, or null for a guest booted without. @throws KbsError. */
export async function sampleHandshake(http: HttpsClient, initdata: string | null): Promise<SampleSession> {
  const key = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
  const first = await post(http, "auth", requestFor("sample"));
  const { nonce } = parse(challenge, JSON.parse(first.body.toString("utf8")), "challenge");
  const cookie = (first.headers["set-cookie"] ?? []).map((c) => c.split(";")[0]).join("; ");
  const second = await post(http, "attest", sampleAttestation(nonce, key, initdata), cookie);
  const { token } = JSON.parse(second.body.toString("utf8")) as { token: string };
  return { token, claims: decodeJwt(token), resource: (path) => resource(http, token, key, path) };
}

async function post(http: HttpsClient, endpoint: string, body: unknown, cookie?: string): Promise<HttpAnswer> {
  const headers = { "content-type": "application/json", ...(cookie ? { cookie } : {}) };
  const answer = await http
    .call("POST", `/kbs/v0/${endpoint}`, { headers, body: JSON.stringify(body), retry: true })
    .catch((error) => Promise.reject(fromHttp(`KBS handshake (${endpoint})`, error)));
  if (answer.status !== 200) throw fromAnswer(`KBS handshake (${endpoint})`, answer);
  return answer;
}

async function resource(http: HttpsClient, token: string, key: KeyObject, path: string): Promise<Uint8Array> {
  const what = `resource ${path}`;
  const answer = await http
    .call("GET", `/kbs/v0/resource/${path}`, { headers: { authorization: `Bearer ${token}` } })
    .catch((error) => Promise.reject(fromHttp(what, error)));
  if (answer.status !== 200) throw fromAnswer(what, answer);
  return openKbsJwe(key, parse(kbsJwe, JSON.parse(answer.body.toString("utf8")), what));
}

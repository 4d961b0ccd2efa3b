/** The attestation agent: handshake with the KBS that initdata names, then resources, opened with the guest's key. */
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { parse as parseToml } from "smol-toml";
import { parseInitdata } from "../../../policy";
import { pem, url } from "../../../protocol/messages/common";
import { challenge, kbsJwe, openKbsJwe, requestFor, sampleAttestation } from "../../../protocol/rcar";
import { object, parse, type Shape, text } from "../../../protocol/shape";
import { GuestError } from "./errors";
import { type HttpsAnswer, PinnedClient } from "./https";

const RETRY_PAUSES = [200, 1000, 3000];
/** The whole handshake is tried so often, as the client of guest-components does (it tries five times). */
const MAX_HANDSHAKES = 3;
class AttestationFailed extends GuestError {}
const tokenAnswer = object({ token: text({ max: 1_000_000 }) });

export class AttestationAgent {
  readonly #client: PinnedClient;
  readonly #key: KeyObject = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
  #token: Promise<string> | undefined;

  /** @param initdata the TOML text that this guest was started with. @throws GuestError INITDATA. */
  constructor(private readonly initdata: string) {
    const { kbsUrl, caPem } = kbsOf(initdata);
    this.#client = new PinnedClient(kbsUrl, caPem);
  }

  /** @throws GuestError KEY_DENIED or KBS_UNREACHABLE. */
  attest(): Promise<string> {
    this.#token ??= this.#handshake();
    return this.#token;
  }

  /** @param path `ns/type/tag`. @throws GuestError KEY_DENIED or KBS_UNREACHABLE. */
  async resource(path: string): Promise<Uint8Array> {
    let answer = await this.#get(path, await this.attest());
    if (answer.status === 401 && /Token/.test(errorType(answer))) {
      // The token may be over: once more with a new one, as guests do.
      this.#token = undefined;
      answer = await this.#get(path, await this.attest());
    }
    if (answer.status !== 200) throw denied(`resource ${path}`, answer);
    return openKbsJwe(this.#key, read(kbsJwe, answer, `resource ${path}`));
  }

  close(): void {
    this.#client.close();
  }

  #get(path: string, token: string): Promise<HttpsAnswer> {
    return this.#call("GET", `/kbs/v0/resource/${path}`, { authorization: `Bearer ${token}` });
  }

  /** A KBS that was started anew knows no session of before, and says no more than that attestation failed. */
  async #handshake(): Promise<string> {
    for (let n = 1; ; n++) {
      try {
        return await this.#shakeHands();
      } catch (error) {
        if (!(error instanceof AttestationFailed) || n === MAX_HANDSHAKES) throw error;
      }
    }
  }

  async #shakeHands(): Promise<string> {
    const first = await this.#post("auth", requestFor("sample"), {});
    const { nonce } = read(challenge, first, "challenge");
    const cookie = (first.headers["set-cookie"] ?? []).map((c) => c.split(";")[0]).join("; ");
    const second = await this.#post("attest", sampleAttestation(nonce, this.#key, this.initdata), { cookie });
    return read(tokenAnswer, second, "token").token;
  }

  async #post(endpoint: string, body: unknown, headers: Record<string, string>): Promise<HttpsAnswer> {
    const all = { "content-type": "application/json", ...headers };
    const answer = await this.#call("POST", `/kbs/v0/${endpoint}`, all, JSON.stringify(body));
    if (answer.status !== 200) {
      const failed = errorType(answer) === "AttestationError";
      throw failed ? new AttestationFailed("KEY_DENIED", denied(endpoint, answer).message) : denied(endpoint, answer);
    }
    return answer;
  }

  async #call(method: string, path: string, headers: Record<string, string>, body?: string): Promise<HttpsAnswer> {
    for (let n = 0; ; n++) {
      try {
        const answer = await this.#client.call(method, path, headers, body);
        if (answer.status < 500) return answer;
        throw new Error(`status ${answer.status}`);
      } catch (cause) {
        const pause = RETRY_PAUSES[n];
        if (pause === undefined) {
          throw new GuestError("KBS_UNREACHABLE", `KBS: ${(cause as Error).message}`, { cause });
        }
        await sleep(pause);
      }
    }
  }
}

/** Whatever answers with something else is no KBS. @throws GuestError KBS_UNREACHABLE. */
function read<T>(shape: Shape<T>, { body }: HttpsAnswer, what: string): T {
  try {
    return parse(shape, JSON.parse(body.toString("utf8")), what);
  } catch (cause) {
    throw new GuestError("KBS_UNREACHABLE", `KBS: its answer is no ${what}`, { cause });
  }
}

const denied = (what: string, answer: HttpsAnswer): GuestError =>
  new GuestError("KEY_DENIED", `KBS refuses ${what}: ${errorType(answer) || `status ${answer.status}`}`);

/** Last part of the KBS's error type, such as `PolicyDeny`; nothing else of its answer is passed on. */
function errorType(answer: HttpsAnswer): string {
  return /"type"\s*:\s*"[^"]*\/([A-Za-z]{1,60})"/.exec(answer.body.toString("utf8").slice(0, 4000))?.[1] ?? "";
}

/** Address and CA of the KBS, as the data hub reads them. @throws GuestError INITDATA. */
function kbsOf(initdata: string): { kbsUrl: string; caPem: string } {
  try {
    const { data } = parseInitdata(initdata);
    const cdh = parseToml(data["cdh.toml"] ?? "") as { kbc?: { url?: unknown; kbs_cert?: unknown } };
    const problems: string[] = [];
    const kbsUrl = url(cdh.kbc?.url, "cdh.toml kbc.url", problems);
    const caPem = pem(cdh.kbc?.kbs_cert, "cdh.toml kbc.kbs_cert", problems);
    if (problems.length > 0) throw new Error(problems.join("; "));
    return { kbsUrl, caPem };
  } catch (cause) {
    throw new GuestError("INITDATA", `initdata: ${(cause as Error).message}`, { cause });
  }
}

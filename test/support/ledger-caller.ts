/** Calls a ledger's `handle` as a client would, and drives guests of a world through it. */
import { publicKey } from "../../protocol/crypto";
import { verifyJws } from "../../protocol/jws";
import { type ClaimAnswer, type ClaimGo, type CommitAnswer, claimAnswer, commitAnswer } from "../../protocol/messages";
import type { World } from "./ledger-world";
import { type CommitOptions, ciphertext, type Guest } from "./ledger-world";

export interface Handler {
  readonly handle: (req: Request) => Promise<Response>;
  readonly ledgerKey: string;
}

export interface Answer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: tests read the fields that they expect
  readonly body: any;
  /** Error code, if it is an error. */
  readonly code: string | undefined;
}

const BASE = "https://ledger.test";

export function caller(ledger: Handler) {
  const send = async (path: string, init: RequestInit = {}): Promise<Answer> => {
    // Places in a store of a test are asked there: on this machine, or at names that the test leads to it.
    const res = /^http:\/\/127\.0\.0\.1:|^https:\/\/[^/]+\.amazonaws\.com\//.test(path)
      ? await fetch(path, init)
      : await ledger.handle(new Request(path.startsWith("http") ? path : BASE + path, init));
    const text = await res.text();
    const body = res.headers.get("content-type")?.includes("json") ? JSON.parse(text) : text;
    return { status: res.status, body, code: body?.error?.code };
  };
  const post = (path: string, token: string): Promise<Answer> =>
    send(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ token }) });
  const get = (path: string, token?: string): Promise<Answer> =>
    send(path, token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } });
  const put = (url: string, bytes: Uint8Array): Promise<Answer> =>
    send(url, { method: "PUT", body: Buffer.from(bytes) });
  const key = publicKey("Ed25519", ledger.ledgerKey);

  async function claim(guest: Guest): Promise<ClaimAnswer> {
    const { status, body } = await post("/v1/claims", guest.token);
    if (status !== 200) throw new Error(`claim: ${status} ${JSON.stringify(body)}`);
    const answer = await verifyJws("sealflow-claim-answer+jwt", body.token, key, claimAnswer);
    if (answer.claim !== guest.digest) throw new Error("answer to another claim");
    return answer;
  }
  async function commit(token: string): Promise<CommitAnswer> {
    const { status, body } = await post("/v1/commits", token);
    if (status !== 200) throw new Error(`commit: ${status} ${JSON.stringify(body)}`);
    return verifyJws("sealflow-commit-answer+jwt", body.token, key, commitAnswer);
  }

  return {
    send,
    post,
    get,
    put,
    claim,
    commit,

    /** Registers the version and uploads its datasets. */
    async deploy(world: World): Promise<void> {
      for (const bytes of Object.values(world.plan.datasets ?? {})) {
        const { body } = await post("/v1/objects", await world.upload(bytes));
        if (!body.present) await put(body.url, bytes);
      }
      const { status, body } = await post("/v1/pipelines", world.descriptor);
      if (status !== 200) throw new Error(`deploy: ${status} ${JSON.stringify(body)}`);
    },

    async openRun(world: World, change = {}): Promise<string> {
      const { token, run } = await world.runRequest(change);
      const { status, body } = await post("/v1/runs", token);
      if (status !== 200 || body.run !== run) throw new Error(`open run: ${status} ${JSON.stringify(body)}`);
      return run;
    },

    /** Claims, and expects `go`. */
    async go(world: World, step: string, run: string | null = null): Promise<ClaimGo> {
      const answer = await claim(await world.claim(step, run));
      if (!answer.go) throw new Error(`claim of ${step}: ${JSON.stringify(answer)}`);
      return answer.go;
    },

    /** Uploads outputs and log. @returns the ciphertext by output. */
    async upload(go: ClaimGo, log: Uint8Array = new Uint8Array(0)): Promise<Record<string, Uint8Array>> {
      const outputs: Record<string, Uint8Array> = {};
      for (const [output, { url }] of Object.entries(go.uploads)) {
        outputs[output] = ciphertext(output);
        await put(url, outputs[output]);
      }
      await put(go.log.url, log);
      return outputs;
    },

    /** Uploads and commits an attempt. */
    async finish(world: World, step: string, go: ClaimGo, options: CommitOptions = {}): Promise<CommitAnswer> {
      const outputs = await this.upload(go, options.log);
      return commit(await world.commit(step, go, options.outcome === "failed" ? {} : outputs, options));
    },

    async run(world: World, step: string, run: string | null = null): Promise<CommitAnswer> {
      return this.finish(world, step, await this.go(world, step, run));
    },

    status: async (world: World, run: string) => (await get(`/v1/runs/${run}`, await world.readToken())).body,
  };
}

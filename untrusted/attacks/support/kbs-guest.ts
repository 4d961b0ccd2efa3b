/** A guest that an attacker plays towards the key broker: any initdata, any evidence, his own key. */
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { INITDATA_ANNOTATION, parseInitdataAnnotation } from "../../../policy";
import { type Attestation, challenge, kbsJwe, openKbsJwe, requestFor, sampleAttestation } from "../../../protocol/rcar";
import { parse } from "../../../protocol/shape";
import type { World } from "../types";
import { call, postJson } from "./http";

export interface Session {
  readonly cookie: string;
  readonly nonce: string;
}

export class KbsGuest {
  readonly key: KeyObject = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;

  constructor(private readonly world: World) {}

  async begin(tee: "sample" = "sample"): Promise<Session> {
    const answer = await postJson(this.world, this.world.kbs, "/kbs/v0/auth", requestFor(tee));
    const { nonce } = parse(challenge, JSON.parse(answer.text), "challenge");
    const cookies = [answer.headers["set-cookie"] ?? []].flat();
    return { nonce, cookie: cookies.map((c) => c.split(";")[0]).join("; ") };
  }

  /** @returns the token, or the broker's refusal. */
  async attest(initdata: string | null, change: (a: Attestation) => unknown = (a) => a, session?: Session) {
    const { nonce, cookie } = session ?? (await this.begin());
    const message = change(sampleAttestation(nonce, this.key, initdata));
    const answer = await postJson(this.world, this.world.kbs, "/kbs/v0/attest", message, { cookie });
    const token = answer.status === 200 ? (JSON.parse(answer.text) as { token: string }).token : undefined;
    return { code: answer.code, token, cookie };
  }

  /** @returns `KEY_RELEASED` when the resource came and opens with the attacker's key, else why not. */
  async get(path: string, headers: Record<string, string>): Promise<string> {
    const answer = await call(this.world, this.world.kbs, `/kbs/v0/resource/${path}`, { headers });
    if (answer.status !== 200) return answer.code;
    try {
      openKbsJwe(this.key, parse(kbsJwe, JSON.parse(answer.text), "resource"));
      return "KEY_RELEASED";
    } catch {
      return "OTHER_KEY";
    }
  }

  /** Handshake and one resource. */
  async fetch(path: string, initdata: string | null, change?: (a: Attestation) => unknown): Promise<string> {
    const { code, token } = await this.attest(initdata, change);
    return token === undefined ? code : this.get(path, { authorization: `Bearer ${token}` });
  }
}

/** Initdata of a step's manifest: public. */
export const initdataOf = (world: World, step: string): string =>
  parseInitdataAnnotation(world.job(step).spec.template.metadata.annotations[INITDATA_ANNOTATION]);

/** KBS path of a step's bundle: public. */
export const resourceOf = (world: World, step: string): string =>
  world.job(step).spec.template.spec.containers[0].env.find((e: { name: string }) => e.name === "SEALFLOW_RESOURCE")
    .value;

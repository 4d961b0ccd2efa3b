/** Signs a schedule: with it anybody may open a run at each of its slots, and nobody more than one. */
import type { KeyObject } from "node:crypto";
import { signJws } from "../../protocol/jws";
import { type DescriptorStep, type Schedule, schedule } from "../../protocol/messages";
import { parse } from "../../protocol/shape";
import { checkCron } from "../../protocol/slots";
import type { PublicFacts } from "../keys";
import { sealParameters } from "../run-request";

export interface SignScheduleOptions {
  readonly facts: Pick<PublicFacts, "pipelineUid" | "ownerPublicKey">;
  /** Steps of the version: parameters are sealed to their keys. */
  readonly steps: Readonly<Record<string, DescriptorStep>>;
  readonly name: string;
  /** Five fields, UTC. */
  readonly cron: string;
  /** Seconds after its time within which a slot may be opened. */
  readonly lateSeconds: number;
  /** Step → parameters of every run. */
  readonly parameters?: Readonly<Record<string, unknown>>;
}

/** @returns compact JWS; public. @throws ProtocolError SHAPE, RunRequestError RUN_PARAMETERS. */
export async function signSchedule(options: SignScheduleOptions, owner: KeyObject): Promise<string> {
  const { facts, steps, name, cron, lateSeconds, parameters = {} } = options;
  checkCron(cron);
  const { pipelineUid, ownerPublicKey } = facts;
  const sealed = await sealParameters({ pipelineUid, steps: { ...steps } }, parameters);
  const content: Schedule = { v: 1, pipelineUid, ownerPublicKey, name, cron, lateSeconds, parameters: sealed };
  return signJws("sealflow-schedule+jwt", parse(schedule, content, `schedule "${name}"`), owner);
}

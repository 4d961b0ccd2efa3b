/** Signed schedules of a version. A schedule that says the same as before is kept byte for byte: its slots stay one run each. */
import { signSchedule } from "../../owner/schedule";
import { jcs } from "../../protocol/canonical";
import { privateKey } from "../../protocol/crypto";
import { SealflowError } from "../../protocol/errors";
import { openFrom } from "../../protocol/jwe";
import { peekJws } from "../../protocol/jws";
import { ownerKey, parameterSeed } from "../../protocol/keys";
import { type DescriptorStep, parameterContext, schedule } from "../../protocol/messages";
import type { Keys } from "../keys";

interface Wanted {
  readonly steps: Record<string, DescriptorStep>;
  readonly schedules?: Record<string, { cron: string; lateSeconds: number }>;
  readonly parameters?: Record<string, object>;
}

/** @param old schedules as they were signed last. @returns name → compact JWS. */
export async function signSchedules(
  keys: Keys,
  { steps, schedules = {}, parameters = {} }: Wanted,
  old: Readonly<Record<string, string>>,
): Promise<Record<string, string>> {
  const signed: Record<string, string> = {};
  for (const [name, { cron, lateSeconds }] of Object.entries(schedules)) {
    const before = Object.hasOwn(old, name) ? old[name] : undefined;
    const wanted = { name, cron, lateSeconds };
    signed[name] =
      before !== undefined && (await saysTheSame(before, keys, wanted, parameters))
        ? before
        : await signSchedule({ facts: keys.facts, steps, parameters, ...wanted }, ownerKey(keys.root));
  }
  return signed;
}

async function saysTheSame(
  token: string,
  { root, facts }: Keys,
  wanted: { readonly name: string; readonly cron: string; readonly lateSeconds: number },
  parameters: Record<string, object>,
): Promise<boolean> {
  try {
    const {
      name,
      cron,
      lateSeconds,
      pipelineUid,
      parameters: sealed,
    } = peekJws("sealflow-schedule+jwt", token, schedule);
    if (pipelineUid !== facts.pipelineUid || jcs({ name, cron, lateSeconds }) !== jcs(wanted)) return false;
    const opened: Record<string, unknown> = {};
    for (const [step, jwe] of Object.entries(sealed)) {
      const key = privateKey("X25519", parameterSeed(root, pipelineUid, step));
      const text = await openFrom(key, parameterContext(pipelineUid, step), jwe);
      opened[step] = JSON.parse(new TextDecoder().decode(text));
    }
    return jcs(opened) === jcs(parameters);
  } catch (error) {
    // Sealed to an earlier generation, or damaged: it is signed anew.
    if (error instanceof SealflowError || error instanceof SyntaxError) return false;
    throw error;
  }
}

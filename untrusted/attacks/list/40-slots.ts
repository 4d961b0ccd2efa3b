import { generateKeyPairSync } from "node:crypto";
import { rawPublic } from "../../../protocol/crypto";
import { signJws } from "../../../protocol/jws";
import type { Schedule } from "../../../protocol/messages";
import { runIdOf, slotToken } from "../../../protocol/opening";
import { slotAfter, slotBefore } from "../../../protocol/slots";
import { postToken } from "../support/http";
import { answerWith, signAsLedger } from "../support/operator";
import type { Attack } from "../types";

/** A slot opens a run without a key, so whoever could write a schedule, or bend one, could start and multiply runs. */
export const slots: Attack = {
  number: 40,
  title: "slots of schedules that the owner did not sign, twice, early, or of another schedule",
  power: "ledger operator",
  expected: ["REQUEST", "SIGNATURE", "FORBIDDEN", "SCHEDULE", "SLOT_TIME", "SHAPE", "SAME_RUN"],
  mount: async (world) => {
    const stranger = generateKeyPairSync("ed25519").privateKey;
    const now = Math.floor(Date.now() / 1000);
    const slot = slotBefore("* * * * *", now) as number;
    const { pipelineUid, ownerPublicKey } = world.descriptor;
    const made = (owner: string): Schedule => ({
      v: 1,
      pipelineUid,
      ownerPublicKey: owner,
      name: "minutely",
      cron: "* * * * *",
      lateSeconds: 3600,
      parameters: {},
    });
    const forged = {
      "signed by a stranger as owner": await signJws("sealflow-schedule+jwt", made(rawPublic(stranger)), stranger),
      "signed by a stranger in the owner's name": await signJws(
        "sealflow-schedule+jwt",
        made(ownerPublicKey),
        stranger,
      ),
      "signed by the ledger": await signAsLedger(world, "sealflow-schedule+jwt", made(ownerPublicKey)),
    };
    const tries = [];
    for (const [tried, schedule] of Object.entries(forged)) {
      const opening = slotToken(schedule, slot);
      const end = await answerWith(world, (go) => ({ ...go, request: opening, run: runIdOf(opening) }));
      tries.push({ tried: `a guest is given a run of a schedule ${tried}`, ended: end.code });
      tries.push({
        tried: `an honest ledger is sent a schedule ${tried}`,
        ended: (await postToken(world, "/v1/runs", opening)).code,
      });
    }
    const end = await answerWith(world, (go) => {
      const request = slotToken(go.request, slot);
      return { ...go, request, run: runIdOf(request) };
    });
    tries.push({ tried: "the owner's run request with a slot behind it", ended: end.code });

    // The owner's own schedules, where the pipeline has some.
    for (const schedule of Object.values(world.connection.schedules ?? {})) {
      const cron = JSON.parse(Buffer.from(schedule.split(".")[1] ?? "", "base64url").toString("utf8")).cron as string;
      const ask = (text: string) => postToken(world, "/v1/runs", text);
      const early = slotAfter(cron, now) as number;
      tries.push({ tried: "a slot before its time", ended: (await ask(slotToken(schedule, early))).code });
      tries.push({ tried: "a second that is no slot", ended: (await ask(slotToken(schedule, early + 1))).code });
      const due = slotToken(schedule, slotBefore(cron, now) as number);
      const [first, second] = [await ask(due), await ask(due)];
      const same = first.status === 200 && first.text.includes(runIdOf(due)) && second.text.includes(runIdOf(due));
      tries.push({ tried: "a slot asked for twice", ended: same ? "SAME_RUN" : second.code });
    }
    return tries;
  },
};

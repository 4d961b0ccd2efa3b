import { generateKeyPairSync } from "node:crypto";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { rawPublic } from "../../../protocol/crypto";
import { jwsDigest, peekJws, signJws } from "../../../protocol/jws";
import { runRequest } from "../../../protocol/messages";
import { splitTable } from "../../../protocol/table";
import { postToken } from "../support/http";
import { answerWith, signAsLedger } from "../support/operator";
import type { Attack, World } from "../types";

/** With all its parameters, which no guest's answer shows: from the operator's database. */
function storedRequest({ home }: World, run: string): string {
  const db = new DatabaseSync(join(home, "dev", "ledger", "ledger.db"), { readOnly: true });
  try {
    return String(db.prepare("SELECT request FROM runs WHERE run = ?").get(run)?.request ?? "");
  } finally {
    db.close();
  }
}

export const mintedRuns: Attack = {
  number: 24,
  title: "runs that nobody asked for",
  power: "ledger operator",
  expected: ["REQUEST", "FORBIDDEN", "SAME_RUN"],
  mount: async (world) => {
    const stranger = generateKeyPairSync("ed25519").privateKey;
    const asStranger = async (request: string) =>
      signJws(
        "sealflow-run+jwt",
        { ...peekJws("sealflow-run+jwt", request, runRequest), runKey: rawPublic(stranger) },
        stranger,
      );
    const otherSignature = (request: string) => {
      const { signed, beside } = splitTable(request);
      const other = `${signed.slice(0, -1)}${signed.at(-1) === "A" ? "B" : "A"}`;
      return beside === undefined ? other : `${other}~${beside}`;
    };
    const changes: Record<string, (request: string) => string | Promise<string>> = {
      "signed by a stranger's key": asStranger,
      "signed by the ledger": (r) =>
        signAsLedger(world, "sealflow-run+jwt", peekJws("sealflow-run+jwt", r, runRequest)),
      "the request again under other bits of its last character": otherSignature,
    };
    const tries = [];
    let run = "";
    for (const [tried, change] of Object.entries(changes)) {
      const end = await answerWith(world, async (go) => {
        run = go.run;
        const made = await change(go.request);
        return { ...go, request: made, run: jwsDigest(made) };
      });
      tries.push({ tried, ended: end.code });
    }
    const kept = await answerWith(world, (go) => ({ ...go, run: "0".repeat(64) }));
    tries.push({ tried: "the request under another run's name", ended: kept.code });
    await world.ready();
    const request = storedRequest(world, run);
    const again = await postToken(world, "/v1/runs", request);
    tries.push({
      tried: "the owner's own request sent again",
      ended: again.status === 200 && again.text.includes(jwsDigest(request)) ? "SAME_RUN" : again.code,
    });
    tries.push({
      tried: "a stranger's request sent to an honest ledger",
      ended: (await postToken(world, "/v1/runs", await asStranger(request))).code,
    });
    return tries;
  },
};

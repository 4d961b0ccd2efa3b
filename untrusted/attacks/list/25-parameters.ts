import { generateKeyPairSync } from "node:crypto";
import { sealTo } from "../../../protocol/jwe";
import { jwsDigest, peekJws, signJws } from "../../../protocol/jws";
import { parameterContext, runRequest } from "../../../protocol/messages";
import { splitTable, Table } from "../../../protocol/table";
import { answerWith } from "../support/operator";
import type { Attack } from "../types";

/** Anybody can encrypt to a step's public parameter key; only a request that a run key signed may carry it. */
export const parameters: Attack = {
  number: 25,
  title: "parameters of the attacker's choice",
  power: "ledger operator",
  expected: ["REQUEST"],
  mount: async (world) => {
    const { consumer } = world.target;
    const { pipelineUid, steps } = world.descriptor;
    const key = steps[consumer]?.parameterKey ?? "";
    const evil = await sealTo(key, parameterContext(pipelineUid, consumer), Buffer.from('{"threshold":0}'));
    const stranger = generateKeyPairSync("ed25519").privateKey;
    const swapped = (request: string) => {
      const read = peekJws("sealflow-run+jwt", request, runRequest);
      return { ...read, parameters: { ...read.parameters, [consumer]: evil } };
    };
    const rows = async (request: string) => (await Table.of(swapped(request).parameters)).all();
    const patched = async (request: string): Promise<string> => {
      const [header, , signature] = splitTable(request).signed.split(".");
      const { signed } = await Table.of(swapped(request).parameters);
      const content = JSON.stringify({ ...swapped(request), parameters: signed });
      return `${[header, Buffer.from(content).toString("base64url"), signature].join(".")}${await rows(request)}`;
    };
    const tries = [];
    for (const [tried, change] of Object.entries({
      "put into the signed request": patched,
      "put beside the signed request": async (r: string) => `${splitTable(r).signed}${await rows(r)}`,
      "in a request signed anew": (r: string) => signJws("sealflow-run+jwt", swapped(r), stranger),
    })) {
      for (const named of [true, false]) {
        const end = await answerWith(world, async (go) => {
          const request = await change(go.request);
          return { ...go, request, run: named ? jwsDigest(request) : go.run };
        });
        tries.push({ tried: `${tried}, ${named ? "under its own" : "under the old"} name`, ended: end.code });
      }
    }
    let shown = false;
    const end = await answerWith(world, (go) => {
      shown = splitTable(go.request).beside !== undefined;
      return { ...go, request: splitTable(go.request).signed };
    });
    // A run whose request has no parameters at all has none to leave out.
    if (shown) tries.push({ tried: "left out of the answer", ended: end.code });
    return tries;
  },
};

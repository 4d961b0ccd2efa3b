import { generateKeyPairSync, randomBytes } from "node:crypto";
import { rawPublic } from "../../../protocol/crypto";
import { sealTo } from "../../../protocol/jwe";
import { jwsDigest, peekJws, signJws } from "../../../protocol/jws";
import { type Claim, type ClaimGo, claimAnswer, descriptor, head, runSecretContext } from "../../../protocol/messages";
import { splitTable, Table, tableBehind } from "../../../protocol/table";
import { answerWith, forgeClaims, signAsLedger } from "../support/operator";
import type { Attack, World } from "../types";

type Change = (go: ClaimGo, asked: Claim, token: string) => ClaimGo | Promise<ClaimGo>;

export const forgedAnswers: Attack = {
  number: 26,
  title: "answers to claims that name another object, attempt, place, log or version",
  power: "ledger operator",
  expected: ["INPUT_RECEIPT", "INPUT_KEY", "INPUT_DIGEST", "LOG_PROOF", "ATTEMPT", "ANSWER", "DESCRIPTOR"],
  mount: async (world) => {
    const { input } = world.target;
    const neighbour = await world.neighbour();
    const stranger = generateKeyPairSync("ed25519").privateKey;
    const first = (go: ClaimGo, change: Record<string, unknown>): ClaimGo => ({
      ...go,
      inputs: { ...go.inputs, [input]: (go.inputs[input] ?? []).map((i) => ({ ...i, ...change })) as never },
    });
    const changes: Record<string, Change> = {
      "another digest of an input": (go) => first(go, { object: { digest: "0".repeat(64), size: 1 } }),
      "another size of an input": (go) =>
        first(go, { object: { digest: go.inputs[input]?.[0]?.object.digest, size: 1 } }),
      "another attempt of the producer": (go) => first(go, { attempt: 2 }),
      "another shard of the producer": (go) => first(go, { shard: 1 }),
      "another leaf of the log": (go) => first(go, { leaf: 0 }),
      "a leaf made up": (go) => first(go, { leafBytes: go.inputs[input]?.[0]?.leafBytes.replace('"at":', '"at":1') }),
      "no audit path": (go) => first(go, { inclusion: [] }),
      "an input at the cloud's metadata": (go) => first(go, { url: "https://169.254.169.254/latest/meta-data/" }),
      "an input without TLS in the guest's network": (go) => first(go, { url: "http://10.0.0.1/admin" }),
      "an input that the step does not have": (go) => ({ ...go, inputs: { ...go.inputs, secrets: [] } }),
      "another run secret": async (go, asked, token) => ({
        ...go,
        runSecret: await sealTo(asked.ephemeralKey, runSecretContext(go.run, jwsDigest(token)), randomBytes(32)),
      }),
      "a short run secret": async (go, asked, token) => ({
        ...go,
        runSecret: await sealTo(asked.ephemeralKey, runSecretContext(go.run, jwsDigest(token)), new Uint8Array(0)),
      }),
      "an attempt beyond the limit": (go) => ({ ...go, attempt: 1_000_000 }),
      "a shard beyond the last": (go) => ({ ...go, shard: 999 }),
      "another place for an upload": (go) => ({
        ...go,
        log: { ...go.log, object: `runs/${go.run}/${"0".repeat(64)}` },
      }),
      "a place for an output more": (go) => ({ ...go, uploads: { ...go.uploads, more: go.log } }),
      "the neighbour's version": (go) => ({ ...go, descriptor: neighbour.token }),
      "the version signed by a stranger": async (go) => ({
        ...go,
        descriptor: await signJws(
          "sealflow-descriptor+jwt",
          { ...peekJws("sealflow-descriptor+jwt", go.descriptor, descriptor), ownerPublicKey: rawPublic(stranger) },
          stranger,
        ),
      }),
      "the version without its rows": (go) => ({ ...go, descriptor: splitTable(go.descriptor).signed }),
      "the neighbour's rows behind the version": async (go) => ({
        ...go,
        descriptor: `${splitTable(go.descriptor).signed}${(await tableBehind(neighbour.token)).all()}`,
      }),
      "a producer's row with the attacker's key": async (go) => {
        const { consumer } = world.target;
        const rows = Object.entries(world.descriptor.steps).map(([name, step]) => [
          name,
          name === consumer ? step : { ...step, publicKey: rawPublic(stranger) },
        ]);
        const table = await Table.of(Object.fromEntries(rows));
        return { ...go, descriptor: `${splitTable(go.descriptor).signed}${table.all()}` };
      },
      "a head of another log": async (go) => ({
        ...go,
        head: await signAsLedger(world, "sealflow-head+jwt", {
          ...peekJws("sealflow-head+jwt", go.head, head),
          root: "0".repeat(64),
        }),
      }),
      "a head of the empty log": async (go) => ({
        ...go,
        consistency: [],
        head: await signAsLedger(world, "sealflow-head+jwt", {
          ...peekJws("sealflow-head+jwt", go.head, head),
          size: 0,
        }),
      }),
      "a head signed by a stranger": async (go) => ({
        ...go,
        head: await signJws("sealflow-head+jwt", peekJws("sealflow-head+jwt", go.head, head), stranger),
      }),
    };
    const tries = [];
    for (const [tried, change] of Object.entries(changes)) {
      tries.push({ tried, ended: (await answerWith(world, change)).code });
    }
    tries.push({ tried: "the answer to another claim", ended: await otherClaim(world) });
    tries.push({ tried: "go without content", ended: await emptyGo(world) });
    tries.push({ tried: "an answer signed by a stranger", ended: await unsigned(world, stranger) });
    return tries;
  },
};

async function otherClaim(world: World): Promise<string> {
  return consumerWith(world, () => forgeClaims(world, (answer) => ({ ...answer, claim: "0".repeat(64) })));
}

async function emptyGo(world: World): Promise<string> {
  return consumerWith(world, () => forgeClaims(world, ({ claim }) => ({ v: 1, claim, status: "go" })));
}

function unsigned(world: World, key: ReturnType<typeof generateKeyPairSync>["privateKey"]): Promise<string> {
  const { ledger } = world;
  return consumerWith(world, () => {
    ledger.hostile = async (request) => {
      const answer = await ledger.honest(request);
      if (!request.url.endsWith("/v1/claims")) return answer;
      const { token } = (await answer.json()) as { token: string };
      const read = peekJws("sealflow-claim-answer+jwt", token, claimAnswer);
      return Response.json({ token: await signJws("sealflow-claim-answer+jwt", read, key) });
    };
  });
}

async function consumerWith(world: World, turn: () => void): Promise<string> {
  const run = await world.ready();
  turn();
  try {
    return (await world.guest(world.job(world.target.consumer), { run })).code;
  } finally {
    world.ledger.hostile = undefined;
  }
}

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { rawPublic, sha256hex } from "../../../protocol/crypto";
import { keyCommit, objectName } from "../../../protocol/keys";
import { signReceipt, verifyReceipt } from "../../../protocol/messages";
import { edgeName } from "../../../protocol/names";
import { Impostor } from "../support/impostor";
import { answerWith } from "../support/operator";
import type { Attack } from "../types";

/** A consumer has the key of what it reads, so it can encrypt for the others; it cannot sign as the producer. */
export const forgedProducer: Attack = {
  number: 28,
  title: "a consumer forges its producer's object",
  power: "leaked bundle",
  expected: ["INPUT_DIGEST", "INPUT_RECEIPT", "SIGNATURE"],
  mount: async (world) => {
    const { consumer, producer, output, input } = world.target;
    const edge = edgeName(producer, output);
    const format = world.descriptor.steps[producer]?.outputs[output]?.format ?? "bytes";
    const impostor = Impostor.of(world, await world.bundle(consumer));
    const producerKey = world.descriptor.steps[producer]?.publicKey ?? "";

    // The run secret is the same for every claim of a run, so what one claim learned makes the object.
    const run = await world.ready();
    const ready = await world.save();
    const granted = await impostor.claimed(run);
    await world.restore(ready);
    const attempt = granted.go.inputs[input]?.[0]?.attempt ?? 1;
    const key = impostor.keyOf(granted, edge, 0, attempt, producer);
    const place = { ...granted, go: { ...granted.go, shard: 0, attempt } };
    const { bytes } = impostor.seal(place, edge, format, Buffer.from("forged"), key);

    writeFileSync(join(world.home, "dev", "objects", objectName(run, edge, 0, attempt)), bytes);
    const stored = await world.guest(world.job(consumer), { run });

    const object = { digest: sha256hex(bytes), size: bytes.length };
    const colluding = await answerWith(world, (go) => {
      const [honest] = go.inputs[input] ?? [];
      if (!honest) return go;
      const { subject, predicate } = verifyReceipt(honest.receipt, producerKey);
      const claimed = { ...predicate, keyCommits: { ...predicate.keyCommits, [edge]: keyCommit(key) } };
      const named = subject.map((s) => ({ ...s, digest: { sha256: object.digest } }));
      const receipt = signReceipt({ subject: named, predicate: claimed }, impostor.key, rawPublic(impostor.key));
      return { ...go, inputs: { ...go.inputs, [input]: [{ ...honest, object, receipt }] } };
    });

    const asProducer = await impostor.commit(granted, {
      commit: { step: producer, programId: world.descriptor.steps[producer]?.programId ?? "" },
    });
    return [
      { tried: "put into the store in the place of the producer's", ended: stored.code },
      { tried: "with a receipt of its own, and the ledger helps", ended: colluding.code },
      { tried: "committed as the producer", ended: asProducer.code },
    ];
  },
};

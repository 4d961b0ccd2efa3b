/** Inputs: proved with their producers' receipts first, then streamed in: digest, decryption and format in one pass. */
import { chmod, mkdir, open } from "node:fs/promises";
import { join } from "node:path";
import { datasetAssociatedData, edgeAssociatedData } from "../protocol/associated";
import { fromBase64url } from "../protocol/bytes";
import { datasetKey, keyCommit, objectKey } from "../protocol/keys";
import { parseEdgeName } from "../protocol/names";
import { StreamError, StreamOpener } from "../protocol/stream";
import type { Assignment } from "./answer";
import type { OpenedBundle } from "./bundle";
import { createDigest } from "./digest";
import { RunnerError } from "./errors";
import { WriteBehind } from "./file-streams";
import { checkerFor, FormatError } from "./formats";
import { planImport } from "./imports";
import type { InputObject, Source } from "./input-object";
import type { Network } from "./net/https";
import { verifyProducer } from "./producer";

/** Checks every proof of every input; reads no object. @throws RunnerError INPUT_RECEIPT, INPUT_KEY, IMPORT, LOG_PROOF. */
export async function planInputs(opened: OpenedBundle, work: Assignment): Promise<InputObject[]> {
  const objects: InputObject[] = [];
  const { inputs } = opened.bundle.program;
  const known = new Set(Object.keys(inputs));
  for (const name of [...Object.keys(work.go.inputs), ...Object.keys(work.go.datasets)]) {
    if (!known.has(name)) throw new RunnerError("ANSWER", "claim answer: an input that the step does not have");
  }
  for (const [name, source] of Object.entries(inputs)) {
    if (source.from) objects.push(...(await planEdge(opened, work, name, source, source.from)));
    else if (source.imported) objects.push(await planImport(opened, work, name, source, source.imported));
    else objects.push(planDataset(opened, work, name, source));
  }
  return objects;
}

function planDataset({ bundle }: OpenedBundle, work: Assignment, name: string, source: Source): InputObject {
  const dataset = source.dataset as string;
  const pinned = Object.hasOwn(work.descriptor.datasets, dataset) ? work.descriptor.datasets[dataset] : undefined;
  const mine = Object.hasOwn(bundle.datasetRoots, dataset) ? bundle.datasetRoots[dataset] : undefined;
  const place = Object.hasOwn(work.go.datasets, name) ? work.go.datasets[name] : undefined;
  if (!pinned || !mine || pinned.id !== mine.id) {
    throw new RunnerError("INPUT_KEY", `input ${name}: the version's dataset is not the one of this bundle`);
  }
  if (!place) throw new RunnerError("ANSWER", `claim answer: no place for input ${name}`);
  return {
    receipt: { input: name, dataset, shard: 0, digest: pinned.digest, format: source.format },
    url: place.url,
    size: pinned.size,
    key: datasetKey(fromBase64url(mine.root), pinned.id, pinned.contentDigest),
    associatedData: datasetAssociatedData(pinned.id, pinned.contentDigest, pinned.format),
    format: source.format,
    allowUnsafe: source.allowUnsafeFormat !== undefined,
    path: [name],
  };
}

async function planEdge(
  opened: OpenedBundle,
  work: Assignment,
  name: string,
  source: Source,
  from: string,
): Promise<InputObject[]> {
  const wrong = (what: string) => new RunnerError("INPUT_RECEIPT", `input ${name}: ${what}`);
  const { step, output } = parseEdgeName(from);
  const producer = Object.hasOwn(work.descriptor.steps, step) ? work.descriptor.steps[step] : undefined;
  const format = producer?.outputs[output]?.format;
  if (!producer || !format) throw wrong("the version has no such producer");
  const given = (Object.hasOwn(work.go.inputs, name) ? work.go.inputs[name] : undefined) ?? [];
  const shards = shardsRead(producer.limits.shards, source.collect === true, work.shard);
  if (given.length !== shards.length) throw wrong(`${given.length} objects, expected ${shards.length}`);
  const byShard = new Map(given.map((g) => [g.shard, g]));
  const root = opened.bundle.edgeRoots[from];
  if (!root) throw new RunnerError("INPUT_KEY", `input ${name}: the bundle has no key for ${from}`);

  const objects: InputObject[] = [];
  for (const shard of shards) {
    const input = byShard.get(shard);
    if (!input || input.edge !== from) throw wrong(`shard ${shard} is missing`);
    const key = objectKey(fromBase64url(root), work.runSecret, work.run, step, shard, input.attempt);
    const commitment = await verifyProducer(opened, work, input, wrong);
    if (commitment !== keyCommit(key)) throw new RunnerError("INPUT_KEY", `input ${name}: made with another key`);
    objects.push({
      receipt: { input: name, from, shard, digest: input.object.digest, format: source.format },
      url: input.url,
      size: input.object.size,
      key,
      associatedData: edgeAssociatedData({
        pipelineUid: work.descriptor.pipelineUid,
        run: work.run,
        edge: from,
        shard,
        attempt: input.attempt,
        format,
      }),
      format: source.format,
      allowUnsafe: source.allowUnsafeFormat !== undefined,
      path: source.collect ? [name, String(shard)] : [name],
    });
  }
  return objects;
}

/** All shards when collected, the only one of an unsharded producer, else the reader's own. */
export const shardsRead = (producerShards: number, collect: boolean, own: number): number[] =>
  collect ? Array.from({ length: producerShards }, (_, i) => i) : [producerShards === 1 ? 0 : own];

/** Streams one object in. Nothing of it counts before this returns. @throws RunnerError. */
export async function readInput(object: InputObject, folder: string, network: Network): Promise<void> {
  const { input } = object.receipt;
  const path = join(folder, ...object.path);
  if (object.path.length > 1) await mkdir(join(folder, input), { recursive: true, mode: 0o755 });
  const hash = createDigest(object.size);
  const opener = new StreamOpener(object.key, object.associatedData);
  const checker = checkerFor(object.format, object.allowUnsafe);
  const file = await open(path, "wx", 0o400);
  const writing = new WriteBehind(file);
  try {
    let size = 0;
    for await (const chunk of network.download(object.url, object.size)) {
      size += chunk.length;
      hash.update(chunk);
      for (const piece of opener.push(chunk)) {
        checker.write(piece);
        await writing.write(piece);
      }
    }
    // The digest first: with other bytes than those committed nothing else matters.
    if (size !== object.size || (await hash.digest()) !== object.receipt.digest) {
      throw new RunnerError("INPUT_DIGEST", `input ${input}: the object is not the committed one`);
    }
    for (const piece of opener.end()) {
      checker.write(piece);
      await writing.write(piece);
    }
    checker.end();
    await writing.end();
  } catch (error) {
    if (error instanceof StreamError) throw new RunnerError("INPUT_SEAL", `input ${input}: ${error.message}`);
    if (error instanceof FormatError) throw new RunnerError("FORMAT", `input ${input}: ${error.message}`);
    throw error;
  } finally {
    hash.close();
    await writing.settled();
    await file.close();
  }
  // Readable for the program, which has another uid; its mount is read-only.
  await chmod(path, 0o444);
}

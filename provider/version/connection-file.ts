/** `.sealflow/pipelines/<stack>/<pipeline>.json`: all that run, status and fetch need beside the caller's own key. */
import { rmSync } from "node:fs";
import * as path from "node:path";
import type { PublicFacts } from "../../owner/keys";
import {
  type BackendReference,
  type Connection,
  type PipelineConnection,
  pipelineConnection,
} from "../../protocol/connection";
import { jwsDigest } from "../../protocol/jws";
import { parse } from "../../protocol/shape";
import { readText, stackFolder, writePrivate } from "../files";
import type { KeysInput } from "../keys";
import type { Context } from "../server/context";

type Place = Pick<KeysInput, "stack" | "pipeline">;

const fileOf = (context: Context, { stack, pipeline }: Place): string =>
  path.join(stackFolder(context.home, "pipelines", { stack, pipeline }), `${pipeline}.json`);

/** @returns the path relative to the project, with forward slashes. */
export function writeConnectionFile(
  context: Context,
  place: Place,
  connection: Connection,
  facts: PublicFacts,
  descriptor: string,
  more: { readonly backend?: BackendReference | undefined; readonly schedules: Readonly<Record<string, string>> },
): string {
  const { kbsUrl, ledgerUrl, caPem, ledgerKey } = connection;
  const { pipelineUid, ownerPublicKey } = facts;
  const content: PipelineConnection = {
    version: 1,
    kbsUrl,
    ledgerUrl,
    caPem,
    ledgerKey,
    name: place.pipeline,
    stack: place.stack,
    pipelineUid,
    ownerPublicKey,
    descriptor,
    ...(more.backend ? { backend: more.backend } : {}),
    ...(Object.keys(more.schedules).length > 0 ? { schedules: { ...more.schedules } } : {}),
  };
  const file = fileOf(context, place);
  writePrivate(file, `${JSON.stringify(content, null, 2)}\n`);
  return path.relative(context.root, file).split(path.sep).join("/");
}

export function hasConnectionFile(context: Context, place: Place, digest: string): boolean {
  const found = read(context, place);
  return found !== undefined && jwsDigest(found.descriptor) === digest;
}

/** Leaves the file of another pipeline alone: after a replacement it is the new one's. */
export function removeConnectionFile(context: Context, keys: KeysInput): void {
  if (read(context, keys)?.pipelineUid === keys.pipelineUid) rmSync(fileOf(context, keys), { force: true });
}

function read(context: Context, place: Place): PipelineConnection | undefined {
  const text = readText(fileOf(context, place));
  if (text === undefined) return undefined;
  try {
    return parse(pipelineConnection, JSON.parse(text), "pipeline connection");
  } catch {
    return undefined; // damaged is as good as missing: it is written anew
  }
}

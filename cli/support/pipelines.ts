/** Deployed pipelines as their public connection files say: `.sealflow/pipelines/<stack>/<pipeline>.json`. */

import type { KeyObject } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import * as path from "node:path";
import { verifyDescriptor } from "../../owner/descriptor";
import { readKeyFile } from "../../owner/keys";
import { type PipelineConnection, pipelineConnection } from "../../protocol/connection";
import { rawPublic } from "../../protocol/crypto";
import { ProtocolError } from "../../protocol/errors";
import type { Descriptor } from "../../protocol/messages";
import { parse } from "../../protocol/shape";
import { CliError } from "../errors";

export interface Deployed {
  readonly file: string;
  readonly connection: PipelineConnection;
}

export interface Choice {
  readonly stack?: string | undefined;
  readonly pipeline?: string | undefined;
}

/** All of them, by stack and name. @throws CliError CONNECTION. */
export function listPipelines(home: string): Deployed[] {
  const dir = path.join(home, "pipelines");
  if (!existsSync(dir)) return [];
  return readdirSync(dir)
    .sort()
    .flatMap((stack) =>
      readdirSync(path.join(dir, stack))
        .filter((file) => file.endsWith(".json"))
        .sort()
        .map((file) => readConnection(path.join(dir, stack, file))),
    );
}

/** The one that is meant; without a choice the only one there is. @throws CliError NOT_DEPLOYED or USAGE. */
export function choosePipeline(home: string, { stack, pipeline }: Choice): Deployed {
  const all = listPipelines(home);
  const fit = all.filter(
    ({ connection: c }) =>
      (stack === undefined || c.stack === stack) && (pipeline === undefined || c.name === pipeline),
  );
  const [only, second] = fit;
  const known = all.map(({ connection: c }) => `${c.stack}/${c.name}`).join(", ");
  if (!only) {
    const wanted = [stack, pipeline].filter((part) => part !== undefined).join("/");
    const what = wanted === "" ? "no pipeline is deployed" : `"${wanted}" is not deployed`;
    throw new CliError(
      "NOT_DEPLOYED",
      `${what} in ${home} (${known === "" ? "none is" : `there are ${known}`}). Run: sealflow up`,
    );
  }
  if (second)
    throw new CliError("USAGE", `several pipelines are deployed (${known}): say which with --stack and --pipeline`);
  return only;
}

/** What a command that is offered for copying has to say for it to mean this pipeline here: nothing when it is the only one. */
export function choiceOf(home: string, { stack, name }: Pick<PipelineConnection, "stack" | "name">): string {
  const others = listPipelines(home).filter(({ connection: c }) => c.stack !== stack || c.name !== name);
  if (others.length === 0) return "";
  const beside = others.some(({ connection: c }) => c.stack === stack);
  return ` --stack ${stack}${beside ? ` --pipeline ${name}` : ""}`;
}

/** @throws CliError CONNECTION. */
export function readConnection(file: string): Deployed {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (cause) {
    throw new CliError("CONNECTION", `${file}: cannot be read`, { cause });
  }
  try {
    return { file, connection: parse(pipelineConnection, JSON.parse(text), "pipeline connection") };
  } catch (cause) {
    const why = cause instanceof ProtocolError ? cause.message : "it is not JSON";
    throw new CliError("CONNECTION", `${file}: is no pipeline connection: ${why}. Write it anew with: sealflow up`, {
      cause,
    });
  }
}

/** The version in the connection file, verified with the owner's key beside it. */
export const versionOf = ({ connection: c }: Deployed): Promise<Descriptor> =>
  verifyDescriptor(c.descriptor, c.ownerPublicKey);

export const runKeyFile = (home: string, { stack, name }: PipelineConnection): string =>
  path.join(home, "keys", stack, `${name}.run.jwk`);

export const releaseKeyFile = (home: string, { stack, name }: PipelineConnection): string =>
  path.join(home, "keys", stack, `${name}.owner-release.jwk`);

/**
 * The caller's release key that a run's version names; keys of earlier generations lie beside the newest one.
 * @returns undefined when this machine has none. @throws KeyError for files that are no keys.
 */
export function releaseKeyFor(home: string, connection: PipelineConnection, d: Descriptor): KeyObject | undefined {
  const file = releaseKeyFile(home, connection);
  const [folder, start] = [path.dirname(file), path.basename(file, ".jwk")];
  if (!existsSync(folder)) return undefined;
  const older = readdirSync(folder).filter((name) => name.startsWith(`${start}.`) && name.endsWith(".old.jwk"));
  const files = [file, ...older.map((name) => path.join(folder, name))].filter((name) => existsSync(name));
  const keys = files.map((name) => readKeyFile(name, "X25519"));
  return keys.find((key) => rawPublic(key) === d.recipients.owner) ?? keys[0];
}

/** The same, for commands that cannot do without. @throws KeyError KEY_MISSING and others. */
export const needReleaseKey = (home: string, connection: PipelineConnection, d: Descriptor): KeyObject =>
  releaseKeyFor(home, connection, d) ?? readKeyFile(releaseKeyFile(home, connection), "X25519");

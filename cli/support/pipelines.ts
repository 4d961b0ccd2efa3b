/** Deployed pipelines as their public connection files say: `.sealflow/pipelines/<stack>/<pipeline>.json`. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import * as path from "node:path";
import { verifyDescriptor } from "../../owner/descriptor";
import { type PipelineConnection, pipelineConnection } from "../../protocol/connection";
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

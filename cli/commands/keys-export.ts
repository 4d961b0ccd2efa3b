import * as path from "node:path";
import { type Attempt, verifiedAttempts } from "../../owner/fetch";
import { writePrivateFile } from "../../owner/keys";
import { logObject, type ReleasedObject, releasedObject, tinkKeyset } from "../../owner/release";
import { base64 } from "../../protocol/bytes";
import type { Descriptor } from "../../protocol/messages";
import { parseEdgeName } from "../../protocol/names";
import type { Context } from "../context";
import { CliError } from "../errors";
import { EXIT } from "../exit-codes";
import { withLedger } from "../support/ledger";
import { type Choice, choosePipeline, needReleaseKey } from "../support/pipelines";
import { findRun, shortRun } from "../support/runs";

export interface KeysExportOptions extends Choice {
  readonly tink?: boolean;
  readonly run?: string;
  readonly release?: string;
  readonly log?: string;
  readonly shard?: number;
  readonly out?: string;
}

/** `sealflow keys export --tink`: the key of one object, for Tink in another language. Opens that object alone. */
export async function keysExport(context: Context, options: KeysExportOptions): Promise<number> {
  if (!options.tink) throw new CliError("USAGE", "keys export: say the format; there is --tink");
  if ((options.release === undefined) === (options.log === undefined)) {
    throw new CliError("USAGE", "keys export: name one object, with --release <name> or --log <step>");
  }
  const deployed = choosePipeline(context.home, options);
  return withLedger(context, deployed, async (session) => {
    const run = await findRun(session, deployed, options.run);
    const exported = await session.ledger.runLog(run, await session.read());
    const { descriptor, attempts } = await verifiedAttempts(exported, deployed.connection.ownerPublicKey);
    const key = needReleaseKey(context.home, deployed.connection, descriptor);
    const attempt = attemptOf(descriptor, attempts, run, options);
    const object: ReleasedObject =
      options.release === undefined
        ? await logObject(attempt, key)
        : await releasedObject(descriptor, attempt, options.release, { name: "owner", key });
    const keyset = JSON.stringify(tinkKeyset(object.key), null, 2);
    const about = { run, object: object.digest, size: object.size, associatedData: base64(object.associatedData) };
    if (options.out === undefined) {
      context.result({ ...about, keyset: JSON.parse(keyset) }, keyset);
      context.say(`object ${object.digest}\nassociated data (base64) ${about.associatedData}`);
      return EXIT.ok;
    }
    const file = path.resolve(context.io.cwd, options.out);
    writePrivateFile(file, `${keyset}\n`);
    context.result({ ...about, file }, [
      `key of one object, readable by you alone: ${context.show(file)}`,
      `object ${object.digest}`,
      `associated data (base64) ${about.associatedData}`,
    ]);
    return EXIT.ok;
  });
}

function attemptOf(d: Descriptor, attempts: readonly Attempt[], run: string, options: KeysExportOptions): Attempt {
  const { release, log, shard = 0 } = options;
  const from = release !== undefined && Object.hasOwn(d.releases, release) ? d.releases[release]?.from : undefined;
  if (release !== undefined && from === undefined) {
    throw new CliError("USAGE", `no release is called "${release}" (there are ${Object.keys(d.releases).join(", ")})`);
  }
  const step = from === undefined ? log : parseEdgeName(from).step;
  const found = attempts.findLast(
    ({ commit: c }) => c.step === step && c.shard === shard && (release === undefined || c.outcome === "ok"),
  );
  if (found) return found;
  throw new CliError("NO_LOG", `run ${shortRun(run)}: ${step} shard ${shard} has not ended yet`);
}

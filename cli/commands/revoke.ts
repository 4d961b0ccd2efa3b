import { randomBytes } from "node:crypto";
import * as path from "node:path";
import { signRevocation } from "../../owner/descriptor";
import { KeyError, loadRoot, ROOT_VARIABLE } from "../../owner/keys";
import { rawPublic } from "../../protocol/crypto";
import { jwsDigest } from "../../protocol/jws";
import { ownerKey } from "../../protocol/keys";
import type { Context } from "../context";
import { EXIT } from "../exit-codes";
import { withLedger } from "../support/ledger";
import { type Choice, choosePipeline } from "../support/pipelines";

export interface RevokeOptions extends Choice {
  /** File of the root secret; default: the environment's. */
  readonly root?: string;
  /** Every version, and no new one. */
  readonly close?: boolean;
  readonly reason?: string;
}

const NO_ROOT =
  `the root secret is needed: ${ROOT_VARIABLE} is not set, and there is no --root <file>. Where Pulumi's state holds it, ` +
  "a backup gives it: npx sealflow keys backup --to <key>, then keys restore <backup> --key <file> --out <root file>";

/** `sealflow revoke`: the deployed version starts, claims and commits nothing any more. Only the owner's root can. */
export async function revoke(context: Context, options: RevokeOptions): Promise<number> {
  const deployed = choosePipeline(context.home, options);
  const { ledgerKey, pipelineUid, ownerPublicKey, name, descriptor } = deployed.connection;
  const { cwd, env } = context.io;
  if (options.root === undefined && !env[ROOT_VARIABLE]) throw new KeyError("KEY_MISSING", NO_ROOT);
  const source =
    options.root === undefined
      ? ({ source: "env" } as const)
      : ({ source: "file", path: path.resolve(cwd, options.root) } as const);
  const owner = ownerKey(loadRoot(source, { env }));
  if (rawPublic(owner) !== ownerPublicKey) {
    throw new KeyError("KEY_OTHER", `${options.root ?? ROOT_VARIABLE}: is the root of another pipeline than "${name}"`);
  }
  return withLedger(context, deployed, async (session) => {
    const version = options.close ? null : jwsDigest(descriptor);
    const reason = options.reason ?? "revoked by its owner";
    const order = { ledgerKey, pipelineUid, descriptor: version, reason, random: randomBytes(32) };
    await session.ledger.revoke(await signRevocation(order, owner));
    await session.advance();
    const what = options.close
      ? `pipeline ${name}: closed for good`
      : `pipeline ${name}: the deployed version is revoked`;
    context.result({ pipelineUid, descriptor: version }, [
      `${what}; none of its runs claims or commits any more`,
      "its keys stay in the key broker until the next `up` or `destroy` takes them out",
    ]);
    return EXIT.ok;
  });
}

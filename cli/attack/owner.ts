/** The honest owner on the copy: what `run`, `fetch` and `verify` do, against the copy's services. */
import { randomBytes } from "node:crypto";
import { fetchRun } from "../../owner/fetch";
import { readKeyFile } from "../../owner/keys";
import type { Recipient } from "../../owner/release";
import { openRunRequest, signReadToken } from "../../owner/run-request";
import { verifyRunFolder } from "../../owner/verify";
import type { PipelineConnection } from "../../protocol/connection";
import { peekJws } from "../../protocol/jws";
import { descriptor } from "../../protocol/messages";
import { LedgerClient } from "../../relying-party/ledger-client";
import type { HonestOwner } from "../../untrusted/attacks";
import { releaseKeyFile, runKeyFile } from "../support/pipelines";
import type { Services } from "./services";

/** A client of the copy's ledger; object URLs name the deployed address, so their paths are used. */
export function ledgerOf({ ledger }: Services, connection: Pick<PipelineConnection, "caPem" | "ledgerKey">) {
  const url = `https://127.0.0.1:${ledger.port}`;
  const client = new LedgerClient({ url, caPem: connection.caPem, ledgerKey: connection.ledgerKey });
  const download = (given: string) => {
    const { pathname, search } = new URL(given);
    return client.object(url + pathname + search);
  };
  return { client, download };
}

export function honestOwner(
  home: string,
  services: Services,
  connection: PipelineConnection,
  parameters: Readonly<Record<string, unknown>>,
): HonestOwner & { close(): void } {
  const { client, download } = ledgerOf(services, connection);
  const runKey = readKeyFile(runKeyFile(home, connection), "Ed25519");
  const recipient: Recipient = { name: "owner", key: readKeyFile(releaseKeyFile(home, connection), "X25519") };
  const { ownerPublicKey, ledgerKey, pipelineUid, descriptor: token } = connection;
  const keys = { ownerPublicKey, ledgerKey };
  const readToken = () =>
    signReadToken({ ledgerKey, pipelineUid, now: new Date(), random: new Uint8Array(randomBytes(32)) }, runKey);
  const codes = (problems: readonly { readonly code: string }[]) => problems.map(({ code }) => code);
  return {
    async openRun() {
      const request = await openRunRequest({
        token,
        descriptor: peekJws("sealflow-descriptor+jwt", token, descriptor),
        runKey,
        parameters,
        head: (await client.head()).token,
        now: new Date(),
        random: new Uint8Array(randomBytes(32)),
      });
      return (await client.openRun(request.token)).run;
    },
    runState: async (run) => (await client.run(run, await readToken())).state,
    head: async (seen) => (await client.head(seen)).token,
    async fetch(run, dir) {
      const exported = await client.runLog(run, await readToken());
      const { report } = await fetchRun({ exported, dir, download, objects: "all", keys: { ...keys, run }, recipient });
      return codes(report.problems);
    },
    async verify(dir, open = false) {
      const report = await verifyRunFolder(dir, { ...keys, ...(open ? { recipient } : {}) });
      if (report.ok !== (report.problems.length === 0)) throw new Error("a report without problems that is not ok");
      return codes(report.problems);
    },
    readToken,
    close: () => client.close(),
  };
}

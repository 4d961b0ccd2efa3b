/** Routes. Each handler reads its input at the border, calls one function of state/, and answers. */
import type { KeyObject } from "node:crypto";
import { Hono, type Context as Http } from "hono";
import { routePath } from "hono/route";
import { streamSSE } from "hono/streaming";
import { ProtocolError } from "../../protocol/errors";
import type { Context } from "./context";
import { LedgerError, STATUS } from "./errors";
import { bearer, bodyOf, type Served, tokenOf } from "./input";
import { Metrics } from "./metrics";
import { json } from "./output";
import { type Reader, requireReader } from "./state/authority";
import { postClaim } from "./state/claims";
import { postCommit } from "./state/commits";
import { registerDescriptor } from "./state/descriptors";
import { consistency, currentHead, logSize } from "./state/log";
import { postParts } from "./state/parts";
import { eventsAfter, exportRun, pipelineVersions, runStatus, runsOf } from "./state/reads";
import { postRevoke } from "./state/revocations";
import { cancelRun, openRun } from "./state/runs";
import { postUpload } from "./state/uploads";
import type { FsStore } from "./store/fs";
import { getObject, putObject } from "./store/http";

/** Events written by other processes are noticed after this long, milliseconds. */
const POLL_MS = 500;

export interface AppOptions {
  readonly ctx: Context;
  /** The embedded store and the key of its URLs; absent when objects live elsewhere. */
  readonly objects?: { readonly store: FsStore; readonly key: KeyObject };
  /** Unexpected errors go here; they may name files, never secrets. */
  readonly log: (line: string) => void;
}

export function createApp({ ctx, objects, log }: AppOptions): Hono<Served> {
  const app = new Hono<Served>();
  const metrics = new Metrics();
  const head = async (): Promise<string> => ctx.signer.head(await ctx.db.read(currentHead));

  app.use(async (c, next) => {
    const started = performance.now();
    await next();
    metrics.observe(c.req.method, routePath(c, -1), c.res.status, (performance.now() - started) / 1000);
  });
  app.onError((error) => refusal(error, log));
  app.notFound((c) => refusal(new LedgerError("NOT_FOUND", `${c.req.method} ${c.req.path}: no such call`), log));

  app.get("/v1/key", async (c) => json(c, { ledgerKey: ctx.signer.ledgerKey, head: await head() }));
  app.get("/v1/heads", async (c) => json(c, await heads(ctx, c.req.query("old"))));
  app.post("/v1/pipelines", async (c) => {
    const registered = await registerDescriptor(ctx, await tokenOf(c));
    return json(c, { ...registered, head: await head() });
  });
  app.get("/v1/pipelines/:uid", async (c) => {
    const { pipelineUid } = await reader(ctx, c, c.req.param("uid"));
    return json(c, { descriptors: await pipelineVersions(ctx, pipelineUid), head: await head() });
  });
  app.post("/v1/pipelines/:uid/revoke", async (c) => {
    await postRevoke(ctx, c.req.param("uid"), await tokenOf(c));
    return json(c, { head: await head() });
  });
  app.post("/v1/runs", async (c) => json(c, { ...(await openRun(ctx, await tokenOf(c))), head: await head() }));
  app.get("/v1/runs", async (c) => {
    const { pipelineUid } = await reader(ctx, c, c.req.query("pipeline"));
    return json(c, { runs: await runsOf(ctx, pipelineUid) });
  });
  app.get("/v1/runs/:run", async (c) => {
    const { pipelineUid } = await reader(ctx, c);
    return json(c, await runStatus(ctx, c.req.param("run"), pipelineUid));
  });
  app.get("/v1/runs/:run/log", async (c) => {
    const { pipelineUid } = await reader(ctx, c);
    return json(c, await exportRun(ctx, c.req.param("run"), pipelineUid));
  });
  app.post("/v1/runs/:run/cancel", async (c) => {
    const cancelled = await cancelRun(ctx, c.req.param("run"), await tokenOf(c));
    return json(c, { ...cancelled, head: await head() });
  });
  app.post("/v1/claims", async (c) => json(c, { token: await postClaim(ctx, await tokenOf(c)) }));
  app.post("/v1/commits", async (c) => json(c, { token: await postCommit(ctx, await tokenOf(c)) }));
  app.post("/v1/parts", async (c) => json(c, { token: await postParts(ctx, await tokenOf(c)) }));
  app.post("/v1/objects", async (c) => json(c, await postUpload(ctx, await tokenOf(c))));
  app.get("/v1/events", async (c) => events(ctx, c, await reader(ctx, c, c.req.query("pipeline"))));

  if (objects) {
    const { store, key } = objects;
    app.put("/objects/*", async (c) => json(c, ...(await putObject(store, key, c.req.url, bodyOf(c), ctx.now()))));
    app.get("/objects/*", (c) => getObject(store, key, c.req.raw, ctx.now()));
  }

  app.get("/healthz", (c) => c.text("ok\n"));
  app.get("/readyz", async (c) => {
    await ctx.db.read(logSize);
    return c.text("ready\n");
  });
  app.get("/metrics", async (c) =>
    c.text(await metrics.text(ctx), 200, { "content-type": "text/plain; version=0.0.4" }),
  );
  return app;
}

/** Who may read which pipeline; `asked` must be that one. */
async function reader(ctx: Context, c: Http, asked?: string): Promise<Reader> {
  const found = await requireReader(ctx, bearer(c.req.raw));
  if (asked !== undefined && asked !== found.pipelineUid) {
    throw new LedgerError("FORBIDDEN", "the read token was made for another pipeline");
  }
  return found;
}

async function heads(ctx: Context, text: string | undefined) {
  const { at, proof } = await ctx.db.read(async (tx) => {
    const at = await currentHead(tx);
    const old = text === undefined ? at.size : Number(text);
    if (!Number.isInteger(old) || old < 0) throw new LedgerError("SHAPE", "old: expected a size of the log");
    if (old > at.size) {
      throw new LedgerError("ROLLBACK", `old: ${old} entries, this log has ${at.size}; the database was restored`);
    }
    return { at, proof: await consistency(tx, old, at.size) };
  });
  return { head: await ctx.signer.head(at), consistency: proof };
}

/**
 * Server-sent events from now on, or after `Last-Event-ID` (the `seq` of the last one seen), for as long as the token is
 * taken: whoever listens on comes with a new one. The first thing sent is the id of where it begins, so that nothing is
 * missed by who has seen no event yet.
 */
function events(ctx: Context, c: Http, { pipelineUid, until }: Reader): Response {
  const last = c.req.header("last-event-id") ?? c.req.query("after");
  return streamSSE(c, async (stream) => {
    const hangUp = new AbortController();
    stream.onAbort(() => hangUp.abort());
    const gone = AbortSignal.any([hangUp.signal, ctx.closing]);
    let seq = last !== undefined && /^-?\d{1,15}$/.test(last) ? Number(last) : (await ctx.db.read(logSize)) - 1;
    let quiet = 0;
    await stream.write(`id: ${seq}\n\n`);
    while (!gone.aborted && ctx.now() <= until) {
      const woken = ctx.feed.next(POLL_MS, gone);
      const found = await eventsAfter(ctx, pipelineUid, seq);
      for (const event of found) {
        await stream.writeSSE({ id: String(event.seq), event: event.kind, data: JSON.stringify(event) });
        seq = event.seq;
      }
      if (found.length > 0) continue;
      await woken;
      // A comment now and then, so that proxies keep the connection and a dead peer is noticed.
      quiet += POLL_MS;
      if (quiet >= 15_000) {
        quiet = 0;
        await stream.write(": still here\n\n");
      }
    }
  });
}

/** What protocol/ refuses has its own codes; this is how they count here. */
const PROTOCOL_STATUS = {
  SHAPE: 400,
  TYPE: 400,
  KEY: 400,
  SIGNATURE: 403,
  CLAIM_MISMATCH: 400,
  LOG_PROOF: 400,
  EXPIRED: 403,
} as const;

function refusal(error: unknown, log: (line: string) => void): Response {
  let known: { code: string; message: string; status: number };
  if (error instanceof LedgerError) known = { code: error.code, message: error.message, status: STATUS[error.code] };
  else if (error instanceof ProtocolError) {
    known = { code: error.code, message: error.message, status: PROTOCOL_STATUS[error.code] };
  } else {
    log(`ledger: unexpected error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    known = { code: "INTERNAL", message: "the ledger failed; its log says why", status: STATUS.INTERNAL };
  }
  const { code, status } = known;
  return Response.json({ error: { code, message: known.message.slice(0, 4000) } }, { status });
}

/**
 * A finished run as a ledger exports it, made with protocol code alone: version 2 of three ran, the split step failed
 * once, `count` has two shards, other pipelines' entries are between, and version 1 was revoked at the end.
 */
import { signRevocation } from "../../../owner/descriptor";
import type { RunExport } from "../../../owner/fetch";
import { openRunRequest, type RunRequestOptions } from "../../../owner/run-request";
import { edgeAssociatedData } from "../../../protocol/associated";
import { base64url, concat, hex as toHex, u32be, utf8 } from "../../../protocol/bytes";
import { jcs } from "../../../protocol/canonical";
import { privateKey, rawPublic, sha256hex } from "../../../protocol/crypto";
import { sealTo } from "../../../protocol/jwe";
import { jwsDigest, signJws } from "../../../protocol/jws";
import {
  edgeRoot,
  keyCommit,
  logRoot,
  objectKey,
  ownerSigningKey,
  runKey,
  stepSigningSeed,
} from "../../../protocol/keys";
import { leafHash, nodeHash, subtreeRoot } from "../../../protocol/merkle";
import {
  type Commit,
  type Descriptor,
  type LogEntry,
  logRelease,
  type Predicate,
  receiptDigest,
  releaseContext,
  signReceipt,
  subjectName,
} from "../../../protocol/messages";
import { parseEdgeName } from "../../../protocol/names";
import { contentOf, peekOpening } from "../../../protocol/opening";
import { sealBytes } from "../../../protocol/stream";
import { bytes, DATASET, hex, makeVersion, makeWorld, STEPS, type World } from "./pipeline";

export const NOW = 1_764_000_000;
export const LOG_TEXT = "epoch 1\nepoch 2\n";

/** What a test may bend: called with what is about to be signed. */
export interface Bend {
  readonly predicate?: (p: Predicate) => Predicate;
  readonly commit?: (c: Commit) => Commit;
  /** Appends to the log before that step's commits. */
  readonly beforeCommit?: (step: string, ledger: Ledger) => Promise<void>;
  /** Steps that never commit. */
  readonly without?: string | readonly string[];
  /** Called with each version, 1 to 3, before the owner signs it. */
  readonly version?: (d: Descriptor) => Descriptor;
  /** What opens the run, instead of a request with parameters for `train`. */
  readonly open?: (version: Version, ledger: Ledger) => Promise<Opened>;
}

export interface Version {
  readonly descriptor: Descriptor;
  readonly token: string;
}

export interface Opened {
  readonly token: string;
  readonly run: string;
  /** As the ledger logs it for a slot: no request names the version. */
  readonly version?: string;
}

export class Ledger {
  readonly entries: { entry?: string; hash: string }[] = [];
  readonly revocations: string[] = [];
  private readonly leaves: Uint8Array[] = [];
  private readonly last = new Map<string, number>();
  now = NOW;

  constructor(readonly world: World) {}

  add(
    entry: Omit<LogEntry, "v" | "seq" | "previous" | "at" | "pipelineUid"> & { at?: number; pipelineUid?: string },
  ): number {
    const seq = this.leaves.length;
    const pipelineUid = entry.pipelineUid ?? this.world.facts.pipelineUid;
    const previous = this.last.get(pipelineUid) ?? null;
    this.last.set(pipelineUid, seq);
    const text = jcs({ v: 1, seq, previous, at: this.now, ...entry, pipelineUid });
    const hash = leafHash(utf8(text));
    this.leaves.push(hash);
    const own = pipelineUid === this.world.facts.pipelineUid;
    this.entries.push(own ? { entry: text, hash: toHex(hash) } : { hash: toHex(hash) });
    return seq;
  }

  foreign(): void {
    this.add({
      kind: "descriptor",
      digest: hex(`foreign ${this.leaves.length}`),
      pipelineUid: hex("foreign pipeline"),
    });
  }

  async root(): Promise<string> {
    const node = (level: number, index: number): Uint8Array =>
      level === 0
        ? (this.leaves[index] as Uint8Array)
        : nodeHash(node(level - 1, 2 * index), node(level - 1, 2 * index + 1));
    return toHex(await subtreeRoot(node, 0, this.leaves.length));
  }

  get size(): number {
    return this.leaves.length;
  }

  async head(): Promise<string> {
    const content = { v: 1, ledgerKey: this.world.ledgerKey, size: this.size, root: await this.root(), at: this.now };
    return signJws("sealflow-head+jwt", content, privateKey("Ed25519", this.world.ledgerSeed));
  }

  async revoke(descriptor: string | null, ledgerKey = this.world.ledgerKey): Promise<void> {
    const order = {
      ledgerKey,
      pipelineUid: this.world.facts.pipelineUid,
      descriptor,
      reason: "test",
      random: bytes(`revoke ${this.size}`),
    };
    const token = await signRevocation(order, ownerSigningKey(this.world.root));
    this.revocations.push(token);
    this.add({ kind: "revoke", digest: jwsDigest(token) });
  }
}

export interface FinishedRun {
  readonly world: World;
  readonly descriptor: Descriptor;
  readonly run: string;
  readonly exported: RunExport;
  /** Digest → ciphertext. */
  readonly objects: Map<string, Uint8Array>;
  /** Edge/shard → plaintext. */
  readonly plaintexts: Map<string, Uint8Array>;
  /** A head from the middle of the run. */
  readonly seenHead: string;
}

/** @param more what the request has beside the parameters of `train`. */
export const openHere = async (version: Version, ledger: Ledger, more: Pick<RunRequestOptions, "imports"> = {}) =>
  openRunRequest({
    ...version,
    ...more,
    runKey: runKey(ledger.world.root),
    parameters: { train: { rate: 0.5 } },
    head: await ledger.head(),
    now: new Date(NOW * 1000),
    random: bytes(`${ledger.world.facts.pipelineUid} nonce`),
  });

export async function finishedRun(label: string, bend: Bend = {}): Promise<FinishedRun> {
  const world = makeWorld(label);
  const ledger = new Ledger(world);
  ledger.foreign();
  const first = await makeVersion(world, null, "old", bend.version);
  ledger.add({ kind: "descriptor", digest: jwsDigest(first.token) });
  const second = await makeVersion(world, { token: first.token, sequence: 1 }, "", bend.version);
  ledger.add({ kind: "descriptor", digest: jwsDigest(second.token) });
  ledger.foreign();

  const request: Opened = await (bend.open ?? openHere)(second, ledger);
  const { run, version } = request;
  ledger.add({ kind: "run", digest: run, run, ...(version === undefined ? {} : { version }) });
  const seenHead = await ledger.head();

  const maker = new Maker(world, second, request, ledger, bend);
  await maker.attempt("split", 0, 1, "failed");
  await maker.attempt("split", 0, 2, "ok");
  await maker.attempt("train", 0, 1, "ok");
  ledger.foreign();
  await maker.attempt("count", 1, 1, "ok");
  await maker.attempt("count", 0, 1, "ok");
  await maker.attempt("report", 0, 1, "ok");

  const third = await makeVersion(world, { token: second.token, sequence: 2 }, "new", bend.version);
  ledger.add({ kind: "descriptor", digest: jwsDigest(third.token) });
  await ledger.revoke(jwsDigest(first.token));
  ledger.foreign();

  return {
    world,
    descriptor: second.descriptor,
    run: request.run,
    objects: maker.objects,
    plaintexts: maker.plaintexts,
    seenHead,
    exported: {
      descriptors: [first.token, second.token, third.token],
      revocations: ledger.revocations,
      request: request.token,
      commits: maker.commits,
      failures: maker.failures,
      entries: ledger.entries,
      head: await ledger.head(),
      objects: Object.fromEntries(
        [...maker.objects.keys()].map((digest) => [digest, `https://store.invalid/${digest}`]),
      ),
    },
  };
}

class Maker {
  readonly objects = new Map<string, Uint8Array>();
  readonly plaintexts = new Map<string, Uint8Array>();
  readonly commits: { commit: string; leaf: number }[] = [];
  readonly failures: { commit: string; leaf: number }[] = [];
  private readonly committed = new Map<string, string>();
  private readonly runSecret: Uint8Array;
  private readonly parameters: Readonly<Record<string, string>>;

  constructor(
    private readonly world: World,
    private readonly version: Version,
    private readonly request: { token: string; run: string },
    private readonly ledger: Ledger,
    private readonly bend: Bend,
  ) {
    this.runSecret = bytes(`${request.run} secret`);
    this.parameters = contentOf(peekOpening(request.token)).parameters;
  }

  async attempt(step: string, shard: number, attempt: number, outcome: "ok" | "failed"): Promise<void> {
    const place = { run: this.request.run, step, shard, attempt };
    this.ledger.add({ kind: "attempt", digest: hex(`claim ${step} ${shard} ${attempt}`), ...place });
    const head = await this.ledger.head();
    if ([this.bend.without ?? []].flat().includes(step)) return;
    await this.bend.beforeCommit?.(step, this.ledger);
    const { commit, key } = await this.commitOf(step, shard, attempt, outcome, head);
    const token = await signJws("sealflow-commit+jwt", commit, key);
    const content = sha256hex(utf8(jcs({ outputs: commit.outputs, log: commit.log, releases: commit.releases })));
    const leaf = this.ledger.add({
      kind: outcome === "ok" ? "commit" : "failure",
      digest: receiptDigest(commit.receipt),
      content,
      ...place,
    });
    (outcome === "ok" ? this.commits : this.failures).push({ commit: token, leaf });
  }

  private async commitOf(step: string, shard: number, attempt: number, outcome: "ok" | "failed", head: string) {
    const { descriptor: d, token } = this.version;
    const spec = d.steps[step];
    if (!spec) throw new Error(step);
    const uid = d.pipelineUid;
    const { run } = this.request;
    const seed = stepSigningSeed(this.world.root, uid, step, spec.identity);
    const key = privateKey("Ed25519", seed);
    const names = outcome === "ok" ? Object.keys(spec.outputs) : [];
    const outputs: Commit["outputs"] = {};
    const keyCommits: Record<string, string> = {};
    const releases: Commit["releases"] = {};
    for (const output of [...names, "log"]) {
      const from =
        output === "log" ? logRoot(this.world.root, uid, step) : edgeRoot(this.world.root, uid, step, output);
      const secret = objectKey(from, this.runSecret, run, step, shard, attempt);
      const edge = `${step}.${output}`;
      const format = output === "log" ? ("text" as const) : (spec.outputs[output]?.format ?? "bytes");
      const plain = output === "log" ? paddedLog() : utf8(`{"${edge}":${shard}}\n`);
      const ad = edgeAssociatedData({ pipelineUid: uid, run, edge, shard, attempt, format });
      const sealed = sealBytes(secret, ad, bytes(`salt ${edge}${shard}${attempt}`), bytes(edge).slice(0, 7), plain);
      const digest = sha256hex(sealed);
      this.objects.set(digest, sealed);
      this.plaintexts.set(`${edge}/${shard}`, plain);
      outputs[output] = { digest, size: sealed.length };
      keyCommits[edge] = keyCommit(secret);
      if (outcome === "ok" && output !== "log") this.committed.set(`${edge}/${shard}`, digest);
      const owner = this.world.facts.releaseKey;
      for (const [as, { from: released }] of Object.entries(d.releases)) {
        if (released === edge) releases[as] = { owner: await sealTo(owner, releaseContext(run, as), secret) };
      }
      if (output === "log") {
        releases.log = { owner: await sealTo(owner, releaseContext(run, logRelease(step, shard, attempt)), secret) };
      }
    }
    const { log, ...rest } = outputs;
    if (!log) throw new Error("log");
    const predicate: Predicate = {
      v: 1,
      pipelineUid: uid,
      descriptor: jwsDigest(token),
      run,
      step,
      shard,
      attempt,
      programId: spec.programId,
      identity: spec.identity,
      inputs: this.inputsOf(step, shard),
      parameters: sha256hex(this.parameters[step] ?? ""),
      keyCommits,
      plaintext: {},
      exitClass: outcome === "ok" ? "ok" : "program",
      head,
      isolation: "namespaces",
    };
    const subject = Object.entries(outputs).map(([output, { digest }]) => ({
      name: subjectName(step, output, shard),
      digest: { sha256: digest },
    }));
    const bent = outcome === "ok" ? (this.bend.predicate?.(predicate) ?? predicate) : predicate;
    const commit: Commit = {
      v: 1,
      pipelineUid: uid,
      run,
      step,
      shard,
      attempt,
      programId: spec.programId,
      outcome,
      outputs: rest,
      log,
      receipt: signReceipt({ subject, predicate: bent }, key, rawPublic(key)),
      releases,
      nonce: base64url(bytes(`nonce ${step}${shard}${attempt}`)),
    };
    return { commit: outcome === "ok" ? (this.bend.commit?.(commit) ?? commit) : commit, key };
  }

  private inputsOf(step: string, shard: number): Predicate["inputs"] {
    const { descriptor: d } = this.version;
    return Object.entries(STEPS[step]?.inputs ?? {}).flatMap(([input, source]): Predicate["inputs"] => {
      if (source.from === undefined) {
        return [{ input, dataset: source.dataset ?? "", shard: 0, digest: DATASET.digest, format: source.format }];
      }
      const count = d.steps[parseEdgeName(source.from).step]?.limits.shards ?? 0;
      const shards = source.collect ? [...Array(count).keys()] : [count === 1 ? 0 : shard];
      return shards.map((from) => ({
        input,
        from: source.from ?? "",
        shard: from,
        digest: this.committed.get(`${source.from}/${from}`) ?? "0".repeat(64),
        format: source.format,
      }));
    });
  }
}

function paddedLog(): Uint8Array {
  const text = utf8(LOG_TEXT);
  return concat(u32be(text.length), text, new Uint8Array(65536 - 4 - text.length));
}

/** As writeRunFolder wants it: the store holds what the run made. */
export const downloadFrom = (objects: ReadonlyMap<string, Uint8Array>) => async (url: string) => {
  const found = objects.get(url.split("/").at(-1) ?? "");
  if (!found) throw new Error(`no object at ${url}`);
  return (async function* () {
    yield found;
  })();
};

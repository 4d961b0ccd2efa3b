/**
 * A small signed pipeline and the guests of it, made with protocol/ only: for tests that need a ledger's counterpart.
 *
 *   const world = await createWorld({ ledgerKey, steps: { one: { outputs: { data: "json" } }, two: { inputs: { data: { from: "one.data" } }, outputs: {} } } });
 *   world.descriptor          // compact JWS, sequence 1
 *   world.bundles.one         // compact JWS
 *   const { token } = await world.runRequest();
 *   const guest = await world.claim("one");         // { token, digest, open(answer) }
 *   const token = await world.commit("one", go, { data: bytes });
 */
import { randomBytes } from "node:crypto";
import { base64url, hex, utf8 } from "../../protocol/bytes";
import { privateKey, rawPublic, sha256hex } from "../../protocol/crypto";
import type { Format } from "../../protocol/formats";
import { openFrom } from "../../protocol/jwe";
import { jwsDigest, signJws } from "../../protocol/jws";
import {
  blind,
  edgeRoot,
  fingerprint,
  keyCommit,
  logRoot,
  namespaceOf,
  objectKey,
  ownerKey,
  ownerReleaseKey,
  parameterPublic,
  parameterSeed,
  pipelineUid,
  type Root,
  runKey,
  stepSigningSeed,
} from "../../protocol/keys";
import {
  type Bundle,
  type Claim,
  type ClaimGo,
  type Commit,
  type Descriptor,
  type DescriptorStep,
  type Predicate,
  type Program,
  programId,
  type ReadToken,
  type RunRequest,
  runSecretContext,
  type Schedule,
  type Statement,
  signReceipt,
  subjectName,
} from "../../protocol/messages";

export interface StepPlan {
  readonly inputs?: Record<string, { from?: string; dataset?: string; format?: Format; collect?: true }>;
  readonly outputs?: Record<string, Format>;
  /** Outputs (json) that everybody learns. */
  readonly declassify?: readonly string[];
  readonly when?: { readonly from: string; readonly equals: boolean };
  readonly shards?: number;
  readonly retryLimit?: number;
  readonly exitClass?: "visible" | "hidden";
  readonly trustProgram?: string;
  /** Changes programId and everything that follows from it. */
  readonly command?: string[];
}

export interface WorldPlan {
  readonly ledgerKey: string;
  readonly ledgerUrl?: string;
  readonly caPem?: string;
  readonly name?: string;
  readonly root?: Root;
  readonly stackUuid?: string;
  readonly steps: Record<string, StepPlan>;
  /** Ciphertext of the pipeline's inputs. */
  readonly datasets?: Record<string, Uint8Array>;
  /** Release → edge. */
  readonly releases?: Record<string, string>;
  /** Name → cron expression; may be late by `lateSeconds`. */
  readonly schedules?: Record<string, string>;
  readonly lateSeconds?: number;
  readonly sequence?: number;
  readonly predecessor?: string | null;
  readonly drainSeconds?: number;
  readonly runSeconds?: number;
  /** Of every step. Default 600 and 60. */
  readonly limits?: { readonly timeoutSeconds: number; readonly waitSeconds: number };
  /** Seconds since 1970; default the system's. */
  readonly now?: () => number;
}

export interface Guest {
  readonly token: string;
  readonly digest: string;
  /** The run secret in a `go` answer. */
  open(go: ClaimGo): Promise<Uint8Array>;
}

export interface CommitOptions {
  readonly outcome?: "ok" | "failed";
  /** Declassified output → bit; default false for each. */
  readonly bits?: Record<string, boolean>;
  /** Ciphertext of the log; default empty. */
  readonly log?: Uint8Array;
  readonly runSecret?: Uint8Array;
  /** Changes before the receipt and the commit are signed. */
  readonly predicate?: Partial<Predicate>;
  readonly subject?: Statement["subject"];
  readonly commit?: Partial<Commit>;
  /** Signs receipt and commit instead of the step's key. */
  readonly step?: string;
}

const nonce = (): string => base64url(randomBytes(32));
const systemSeconds = (): number => Math.floor(Date.now() / 1000);

export type World = Awaited<ReturnType<typeof createWorld>>;

export async function createWorld(plan: WorldPlan) {
  const root = plan.root ?? { secret: new Uint8Array(randomBytes(32)), generation: 1 };
  const now = plan.now ?? systemSeconds;
  const name = plan.name ?? "demo";
  const stackUuid = plan.stackUuid ?? hex(randomBytes(16));
  const owner = ownerKey(root);
  const ownerPublicKey = rawPublic(owner);
  const run = runKey(root);
  const uid = pipelineUid(ownerPublicKey, stackUuid, name);
  const ns = namespaceOf(fingerprint(root));
  const datasets = Object.entries(plan.datasets ?? {});

  const programs: Record<string, Program> = {};
  const bundles: Record<string, string> = {};
  const steps: Record<string, DescriptorStep> = {};
  for (const [step, spec] of Object.entries(plan.steps)) {
    const program = programOf(step, spec);
    programs[step] = program;
    const id = programId(blind(root, uid, step), program);
    const identity = sha256hex(`identity|${id}`);
    const seed = stepSigningSeed(root, uid, step, identity);
    bundles[step] = await signJws("sealflow-bundle+jwt", bundleOf(step, program, identity, seed), owner);
    steps[step] = {
      programId: id,
      identity,
      bundle: jwsDigest(bundles[step]),
      publicKey: rawPublic(privateKey("Ed25519", seed)),
      parameterKey: parameterPublic(root, uid, step),
      inputs: program.inputs,
      outputs: program.outputs,
      limits: program.limits,
      exitClass: program.exitClass,
      ...(spec.when ? { when: spec.when } : {}),
      ...(spec.trustProgram === undefined ? {} : { trustProgram: spec.trustProgram }),
    };
  }

  const schedules: Record<string, string> = {};
  for (const [schedule, cron] of Object.entries(plan.schedules ?? {})) {
    const lateSeconds = plan.lateSeconds ?? 3600;
    const signed: Schedule = {
      v: 1,
      pipelineUid: uid,
      ownerPublicKey,
      name: schedule,
      cron,
      lateSeconds,
      parameters: {},
    };
    schedules[schedule] = await signJws("sealflow-schedule+jwt", signed, owner);
  }

  const content: Descriptor = {
    v: 1,
    pipelineUid: uid,
    name,
    stackUuid,
    ownerPublicKey,
    ns,
    generation: root.generation,
    sequence: plan.sequence ?? 1,
    predecessor: plan.predecessor ?? null,
    ledgerKey: plan.ledgerKey,
    runKeys: [rawPublic(run)],
    recipients: { owner: rawPublic(ownerReleaseKey(root)) },
    steps,
    datasets: Object.fromEntries(
      datasets.map(([input, bytes]) => [
        input,
        {
          format: "jsonl" as const,
          id: input,
          contentDigest: sha256hex(`content|${sha256hex(bytes)}`),
          digest: sha256hex(bytes),
          size: bytes.length,
          object: `datasets/${sha256hex(bytes)}`,
        },
      ]),
    ),
    releases: Object.fromEntries(
      Object.entries(plan.releases ?? {}).map(([release, from]) => [release, { from, recipients: ["owner"] }]),
    ),
    ...(plan.schedules
      ? { schedules: Object.fromEntries(Object.entries(schedules).map(([n, token]) => [n, jwsDigest(token)])) }
      : {}),
    drainSeconds: plan.drainSeconds ?? 0,
    runSeconds: plan.runSeconds ?? 86_400,
  };
  const descriptor = await signJws("sealflow-descriptor+jwt", content, owner);
  const digest = jwsDigest(descriptor);

  function programOf(step: string, spec: StepPlan): Program {
    const inputs = Object.entries(spec.inputs ?? {}).map(([input, { format, ...source }]) => [
      input,
      { ...source, format: format ?? (source.dataset === undefined ? "json" : "jsonl") },
    ]);
    return {
      v: 1,
      pipelineUid: uid,
      step,
      command: spec.command ?? ["true"],
      env: {},
      inputs: Object.fromEntries(inputs),
      outputs: Object.fromEntries(
        Object.entries(spec.outputs ?? {}).map(([output, format]) => [
          output,
          { format, ...(spec.declassify?.includes(output) ? { declassify: "test" } : {}) },
        ]),
      ),
      releases: Object.entries(plan.releases ?? {})
        .filter(([, from]) => from.startsWith(`${step}.`))
        .map(([as, from]) => ({
          output: from.slice(step.length + 1),
          as,
          recipients: { owner: rawPublic(ownerReleaseKey(root)) },
        })),
      limits: {
        ...(plan.limits ?? { timeoutSeconds: 600, waitSeconds: 60 }),
        retryLimit: spec.retryLimit ?? 0,
        shards: spec.shards ?? 1,
      },
      ...(spec.when ? { when: spec.when } : {}),
      image: sha256hex("image"),
      guest: sha256hex("guest"),
      egress: false,
      exitClass: spec.exitClass ?? "visible",
      ...(spec.trustProgram === undefined ? {} : { trustProgram: spec.trustProgram }),
    };
  }

  function bundleOf(step: string, program: Program, identity: string, seed: Uint8Array): Bundle {
    const edges = [
      ...Object.keys(program.outputs).map((output) => `${step}.${output}`),
      ...Object.values(program.inputs).flatMap((input) => (input.from ? [input.from] : [])),
    ];
    const rootOf = (edge: string): string => {
      const [producer = "", output = ""] = edge.split(".");
      return base64url(edgeRoot(root, uid, producer, output));
    };
    return {
      v: 1,
      program,
      blind: base64url(blind(root, uid, step)),
      ns,
      identity,
      signingSeed: base64url(seed),
      parameterSeed: base64url(parameterSeed(root, uid, step)),
      logRoot: base64url(logRoot(root, uid, step)),
      edgeRoots: Object.fromEntries(edges.map((edge) => [edge, rootOf(edge)])),
      datasetRoots: {},
      ledger: {
        url: plan.ledgerUrl ?? "https://127.0.0.1:1",
        caPem: plan.caPem ?? "none",
        publicKey: plan.ledgerKey,
      },
      ownerPublicKey,
    };
  }

  const stepKey = (step: string) => {
    const s = steps[step];
    if (!s) throw new Error(`no step ${step}`);
    return privateKey("Ed25519", stepSigningSeed(root, uid, step, s.identity));
  };

  return {
    plan,
    root,
    stackUuid,
    pipelineUid: uid,
    ownerPublicKey,
    runPublicKey: rawPublic(run),
    content,
    descriptor,
    digest,
    bundles,
    programs,
    steps,
    /** Signed schedules by name. */
    schedules,
    stepKey,

    signDescriptor: (change: Partial<Descriptor>): Promise<string> =>
      signJws("sealflow-descriptor+jwt", { ...content, ...change }, owner),

    async runRequest(change: Partial<RunRequest> = {}): Promise<{ token: string; run: string }> {
      const request: RunRequest = {
        v: 1,
        pipelineUid: uid,
        descriptor: digest,
        runKey: rawPublic(run),
        inputs: Object.fromEntries(Object.entries(content.datasets).map(([input, d]) => [input, d.digest])),
        parameters: {},
        nonce: nonce(),
        head: null,
        issuedAt: now(),
        expiresAt: now() + 600,
        ...change,
      };
      const token = await signJws("sealflow-run+jwt", request, run);
      return { token, run: jwsDigest(token) };
    },

    async claim(step: string, runHint: string | null = null, change: Partial<Claim> = {}): Promise<Guest> {
      const ephemeral = privateKey("X25519", new Uint8Array(randomBytes(32)));
      const s = steps[step];
      if (!s) throw new Error(`no step ${step}`);
      const claim: Claim = {
        v: 1,
        pipelineUid: uid,
        step,
        programId: s.programId,
        bundle: s.bundle,
        runHint,
        nonce: nonce(),
        ephemeralKey: rawPublic(ephemeral),
        ...change,
      };
      const token = await signJws("sealflow-claim+jwt", claim, stepKey(step));
      const claimDigest = jwsDigest(token);
      return {
        token,
        digest: claimDigest,
        open: (go) => openFrom(ephemeral, runSecretContext(go.run, claimDigest), go.runSecret),
      };
    },

    /** @param outputs ciphertext by output; the caller uploads it. */
    async commit(
      step: string,
      go: ClaimGo,
      outputs: Record<string, Uint8Array>,
      options: CommitOptions = {},
    ): Promise<string> {
      const s = steps[step];
      if (!s) throw new Error(`no step ${step}`);
      const outcome = options.outcome ?? "ok";
      const key = stepKey(options.step ?? step);
      const log = options.log ?? new Uint8Array(0);
      const ref = (b: Uint8Array) => ({ digest: sha256hex(b), size: b.length });
      const secret = options.runSecret ?? new Uint8Array(32);
      const inputs = Object.entries(s.inputs).flatMap(([input, source]): Predicate["inputs"] =>
        source.from !== undefined
          ? (go.inputs[input] ?? []).map((i) => ({
              input,
              from: i.edge,
              shard: i.shard,
              digest: i.object.digest,
              format: source.format,
            }))
          : [
              {
                input,
                dataset: source.dataset as string,
                shard: 0,
                digest: content.datasets[source.dataset as string]?.digest as string,
                format: source.format,
              },
            ],
      );
      const bits = Object.keys(s.outputs).filter((output) => s.outputs[output]?.declassify !== undefined);
      const declassified =
        outcome === "ok" && bits.length > 0
          ? { declassified: Object.fromEntries(bits.map((output) => [output, options.bits?.[output] ?? false])) }
          : {};
      const predicate: Predicate = {
        v: 1,
        pipelineUid: uid,
        descriptor: digest,
        run: go.run,
        step,
        shard: go.shard,
        attempt: go.attempt,
        programId: s.programId,
        identity: s.identity,
        inputs,
        parameters: sha256hex(""),
        keyCommits: Object.fromEntries(
          Object.keys(outputs).map((output) => [
            `${step}.${output}`,
            keyCommit(objectKey(edgeRoot(root, uid, step, output), secret, go.run, step, go.shard, go.attempt)),
          ]),
        ),
        plaintext: {},
        ...declassified,
        exitClass: outcome === "ok" ? "ok" : s.exitClass === "hidden" ? "hidden" : "program",
        head: go.head,
        isolation: s.trustProgram === undefined ? "namespaces" : "none",
        ...(s.trustProgram === undefined ? {} : { trustProgram: s.trustProgram }),
        ...options.predicate,
      };
      const subject = options.subject ?? [
        ...Object.entries(outputs).map(([output, b]) => ({
          name: subjectName(step, output, go.shard),
          digest: { sha256: sha256hex(b) },
        })),
        { name: subjectName(step, "log", go.shard), digest: { sha256: sha256hex(log) } },
      ];
      const releases =
        outcome === "ok" ? Object.entries(content.releases).filter(([, { from }]) => from.startsWith(`${step}.`)) : [];
      const commit: Commit = {
        v: 1,
        pipelineUid: uid,
        run: go.run,
        step,
        shard: go.shard,
        attempt: go.attempt,
        programId: s.programId,
        outcome,
        outputs: Object.fromEntries(Object.entries(outputs).map(([output, b]) => [output, ref(b)])),
        log: ref(log),
        ...declassified,
        receipt: signReceipt({ subject, predicate }, key, rawPublic(key)),
        releases: Object.fromEntries(releases.map(([release]) => [release, { owner: "a.b.c.d.e" }])),
        nonce: nonce(),
        ...options.commit,
      };
      return signJws("sealflow-commit+jwt", commit, key);
    },

    readToken: (change: Partial<ReadToken> = {}, by: "run" | "owner" = "run"): Promise<string> =>
      signJws(
        "sealflow-read+jwt",
        {
          v: 1,
          ledgerKey: plan.ledgerKey,
          pipelineUid: uid,
          by: by === "run" ? rawPublic(run) : ownerPublicKey,
          issuedAt: now(),
          expiresAt: now() + 600,
          nonce: nonce(),
          ...change,
        },
        by === "run" ? run : owner,
      ),

    revoke: (descriptorDigest: string | null, change: object = {}): Promise<string> =>
      signJws(
        "sealflow-revoke+jwt",
        {
          v: 1,
          ledgerKey: plan.ledgerKey,
          pipelineUid: uid,
          ownerPublicKey,
          descriptor: descriptorDigest,
          reason: "test",
          nonce: nonce(),
          ...change,
        },
        owner,
      ),

    cancel: (runId: string, change: object = {}, by: "run" | "owner" = "run"): Promise<string> =>
      signJws(
        "sealflow-cancel+jwt",
        {
          v: 1,
          pipelineUid: uid,
          run: runId,
          by: by === "run" ? rawPublic(run) : ownerPublicKey,
          reason: "test",
          nonce: nonce(),
          issuedAt: now(),
          ...change,
        },
        by === "run" ? run : owner,
      ),

    upload: (bytes: Uint8Array, action: "put" | "delete" = "put", change: object = {}): Promise<string> =>
      signJws(
        "sealflow-upload+jwt",
        {
          v: 1,
          ledgerKey: plan.ledgerKey,
          ownerPublicKey,
          action,
          digest: sha256hex(bytes),
          size: bytes.length,
          issuedAt: now(),
          nonce: nonce(),
          ...change,
        },
        owner,
      ),
  };
}

/** The next version of the same pipeline. */
export const nextVersion = (w: World, change: Partial<WorldPlan> = {}): Promise<World> =>
  createWorld({
    ...w.plan,
    root: w.root,
    stackUuid: w.stackUuid,
    sequence: w.content.sequence + 1,
    predecessor: w.digest,
    ...change,
  });

/** Some bytes that differ from one call to the next. */
export const ciphertext = (text = ""): Uint8Array => new Uint8Array([...utf8(text), ...randomBytes(40)]);

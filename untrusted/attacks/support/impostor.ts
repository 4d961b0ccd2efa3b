/** Whoever has a step's bundle: claims and commits as its guest would, and signs what he likes. */
import { generateKeyPairSync, type KeyObject, randomBytes } from "node:crypto";
import { edgeAssociatedData } from "../../../protocol/associated";
import { base64url, fromBase64url } from "../../../protocol/bytes";
import { privateKey, rawPublic, sha256hex } from "../../../protocol/crypto";
import type { Format } from "../../../protocol/formats";
import { openFrom, sealTo } from "../../../protocol/jwe";
import { jwsDigest, peekJws, signJws } from "../../../protocol/jws";
import { keyCommit, objectKey } from "../../../protocol/keys";
import {
  type Bundle,
  bundle,
  type Claim,
  type ClaimGo,
  type Commit,
  descriptor,
  type Predicate,
  programId,
  releaseContext,
  runRequest,
  runSecretContext,
  signReceipt,
  subjectName,
} from "../../../protocol/messages";
import { edgeName } from "../../../protocol/names";
import { sealBytes } from "../../../protocol/stream";
import type { World } from "../types";
import { type Answer, call, claimAnswerIn, pathOf, postToken } from "./http";

export interface Granted {
  readonly go: ClaimGo;
  readonly runSecret: Uint8Array;
}

interface Sealed {
  readonly bytes: Uint8Array;
  readonly key: Uint8Array;
}

export interface CommitChange {
  /** Output → plaintext; what is missing becomes empty. */
  readonly outputs?: Readonly<Record<string, Uint8Array>>;
  /** Output → exactly these bytes instead of an encryption. */
  readonly raw?: Readonly<Record<string, Uint8Array>>;
  readonly predicate?: Partial<Predicate>;
  readonly commit?: Partial<Commit>;
  /** Key that releases are wrapped for, instead of the object's. */
  readonly releasedKey?: Uint8Array;
  readonly signer?: KeyObject;
}

export class Impostor {
  readonly key: KeyObject;
  readonly programId: string;
  readonly digest: string;

  private constructor(
    private readonly world: World,
    readonly bundle: Bundle,
    token: string,
  ) {
    this.key = privateKey("Ed25519", fromBase64url(bundle.signingSeed));
    this.programId = programId(fromBase64url(bundle.blind), bundle.program);
    this.digest = jwsDigest(token);
  }

  static of(world: World, token: string): Impostor {
    return new Impostor(world, peekJws("sealflow-bundle+jwt", token, bundle), token);
  }

  async claimToken(run: string | null, ephemeral: KeyObject, change: Partial<Claim> = {}): Promise<string> {
    const { program } = this.bundle;
    const content: Claim = {
      v: 1,
      pipelineUid: program.pipelineUid,
      step: program.step,
      programId: this.programId,
      bundle: this.digest,
      runHint: run,
      nonce: base64url(randomBytes(32)),
      ephemeralKey: rawPublic(ephemeral),
      ...change,
    };
    return signJws("sealflow-claim+jwt", content, this.key);
  }

  /** @returns the answer's status or refusal, and what was granted. */
  async claim(run: string | null, change: Partial<Claim> = {}): Promise<{ code: string; granted?: Granted }> {
    const { privateKey: ephemeral } = generateKeyPairSync("x25519");
    const token = await this.claimToken(run, ephemeral, change);
    const answer = await postToken(this.world, "/v1/claims", token);
    if (answer.status !== 200) return { code: answer.code };
    const { status, refusal, go } = claimAnswerIn(answer);
    if (!go) return { code: refusal ?? status.toUpperCase() };
    const runSecret = await openFrom(ephemeral, runSecretContext(go.run, jwsDigest(token)), go.runSecret);
    return { code: "GO", granted: { go, runSecret } };
  }

  /** @throws Error when there is no work. */
  async claimed(run: string): Promise<Granted> {
    const { code, granted } = await this.claim(run);
    if (!granted) throw new Error(`the impostor's claim was answered with ${code}`);
    return granted;
  }

  /** Key of an object of the run, for every edge that the bundle knows. */
  keyOf(g: Granted, edge: string, shard = g.go.shard, attempt = g.go.attempt, step = this.bundle.program.step) {
    const root = this.bundle.edgeRoots[edge] ?? this.bundle.logRoot;
    return objectKey(fromBase64url(root), g.runSecret, g.go.run, step, shard, attempt);
  }

  seal(g: Granted, edge: string, format: Format, plaintext: Uint8Array, key = this.keyOf(g, edge)): Sealed {
    const { run, shard, attempt } = g.go;
    const ad = edgeAssociatedData({
      pipelineUid: this.bundle.program.pipelineUid,
      run,
      edge,
      shard,
      attempt,
      format,
    });
    return { bytes: sealBytes(key, ad, randomBytes(32), randomBytes(7), plaintext), key };
  }

  /** Uploads and commits an attempt. @returns the ledger's answer. */
  async commit(g: Granted, change: CommitChange = {}): Promise<Answer> {
    const { program } = this.bundle;
    const { go } = g;
    const request = peekJws("sealflow-run+jwt", go.request, runRequest);
    const objects: Record<string, Sealed> = {};
    for (const [output, { format }] of Object.entries(program.outputs)) {
      const edge = edgeName(program.step, output);
      const raw = change.raw?.[output];
      objects[output] = raw
        ? { bytes: raw, key: this.keyOf(g, edge) }
        : this.seal(g, edge, format, change.outputs?.[output] ?? new Uint8Array(0));
    }
    const log = this.seal(g, edgeName(program.step, "log"), "text", Buffer.alloc(64 * 1024));
    for (const [output, { bytes }] of Object.entries(objects)) await this.put(go.uploads[output]?.url ?? "", bytes);
    await this.put(go.log.url, log.bytes);

    const all = { ...objects, log };
    const predicate: Predicate = {
      v: 1,
      pipelineUid: program.pipelineUid,
      descriptor: jwsDigest(go.descriptor),
      run: go.run,
      step: program.step,
      shard: go.shard,
      attempt: go.attempt,
      programId: this.programId,
      identity: this.bundle.identity,
      inputs: this.inputs(go),
      parameters: sha256hex(request.parameters[program.step] ?? ""),
      keyCommits: mapped(all, (name, { key }) => [edgeName(program.step, name), keyCommit(key)]),
      plaintext: {},
      exitClass: "ok",
      head: go.head,
      isolation: "namespaces",
      ...change.predicate,
    };
    const signer = change.signer ?? this.key;
    const subject = Object.entries(all).map(([name, { bytes }]) => ({
      name: subjectName(program.step, name, go.shard),
      digest: { sha256: sha256hex(bytes) },
    }));
    const releases: Commit["releases"] = {};
    for (const { output, as, recipients } of program.releases) {
      releases[as] = {};
      for (const [name, to] of Object.entries(recipients)) {
        const wrapped = change.releasedKey ?? (objects[output] as Sealed).key;
        releases[as][name] = await sealTo(to, releaseContext(go.run, as), wrapped);
      }
    }
    const content: Commit = {
      v: 1,
      pipelineUid: program.pipelineUid,
      run: go.run,
      step: program.step,
      shard: go.shard,
      attempt: go.attempt,
      programId: this.programId,
      outcome: "ok",
      outputs: mapped(objects, (name, { bytes }) => [name, refOf(bytes)]),
      log: refOf(log.bytes),
      receipt: signReceipt({ subject, predicate }, signer, rawPublic(signer)),
      releases,
      nonce: base64url(randomBytes(32)),
      ...change.commit,
    };
    return postToken(this.world, "/v1/commits", await signJws("sealflow-commit+jwt", content, signer));
  }

  put(url: string, body: Uint8Array): Promise<Answer> {
    return call(this.world, this.world.ledger, pathOf(url), { method: "PUT", body });
  }

  private inputs(go: ClaimGo): Predicate["inputs"] {
    const { inputs } = this.bundle.program;
    const d = peekJws("sealflow-descriptor+jwt", go.descriptor, descriptor);
    return Object.entries(inputs).flatMap(([input, { format, dataset }]): Predicate["inputs"] => {
      if (dataset !== undefined) {
        const digest = d.datasets[dataset]?.digest ?? "";
        return [{ input, dataset, shard: 0, digest, format }];
      }
      const read = go.inputs[input] ?? [];
      return read.map(({ edge, shard, object }) => ({ input, from: edge, shard, digest: object.digest, format }));
    });
  }
}

const refOf = (bytes: Uint8Array) => ({ digest: sha256hex(bytes), size: bytes.length });

function mapped<T, U>(from: Readonly<Record<string, T>>, change: (name: string, value: T) => [string, U]) {
  return Object.fromEntries(Object.entries(from).map(([name, value]) => change(name, value)));
}

/**
 * Another pipeline's release as a run pins it: proved with the producer's owner and ledger keys, which the reading
 * step's identity covers, and with nothing else. What cannot be seen here is what the producer's owner did afterwards:
 * `sealflow run` verifies the whole folder of the producer's run before it pins, and `verify` repeats this proof.
 */
import { edgeAssociatedData } from "./associated";
import { utf8 } from "./bytes";
import { jcs } from "./canonical";
import { publicKey, sha256hex } from "./crypto";
import { ProtocolError } from "./errors";
import { jwsDigest, verifyJws, verifyPart } from "./jws";
import { pipelineUid } from "./keys";
import { verifyInclusion } from "./merkle";
import {
  type Commit,
  commit,
  type Descriptor,
  type DescriptorStep,
  descriptor,
  head,
  leafBytes,
  logEntry,
  type Program,
  type RunImport,
  receiptDigest,
  type Statement,
  subjectName,
  verifyReceipt,
} from "./messages";
import { edgeName, parseEdgeName } from "./names";
import { parse } from "./shape";

export type ImportSource = NonNullable<Program["inputs"][string]["imported"]>;

export interface VerifiedImport {
  readonly descriptor: Descriptor;
  readonly commit: Commit;
  readonly receipt: Statement;
  /** `step.output` of the producer. */
  readonly edge: string;
  readonly format: DescriptorStep["outputs"][string]["format"];
  /** Commitment to the object's key. */
  readonly keyCommit: string;
  readonly associatedData: Uint8Array;
}

/** @throws ProtocolError SIGNATURE, SHAPE or LOG_PROOF: the object is not what that pipeline released. */
export async function verifyImport(source: ImportSource, pinned: RunImport): Promise<VerifiedImport> {
  const wrong = (what: string) => new ProtocolError("SHAPE", `import ${source.input}: ${what}`);
  const owner = publicKey("Ed25519", source.ownerPublicKey);
  const { message: d } = await verifyPart("sealflow-descriptor+jwt", pinned.descriptor, owner, descriptor);
  if (
    d.pipelineUid !== source.pipelineUid ||
    d.ownerPublicKey !== source.ownerPublicKey ||
    d.ledgerKey !== source.ledgerKey ||
    pipelineUid(d.ownerPublicKey, d.stackUuid, d.name) !== d.pipelineUid
  ) {
    throw wrong("the version is of another pipeline, owner or ledger");
  }
  const release = Object.hasOwn(d.releases, source.release) ? d.releases[source.release] : undefined;
  if (!release) throw wrong(`the version releases no "${source.release}"`);
  const { step: stepName, output } = parseEdgeName(release.from);
  const step = Object.hasOwn(d.steps, stepName) ? d.steps[stepName] : undefined;
  const spec = step && Object.hasOwn(step.outputs, output) ? step.outputs[output] : undefined;
  if (!step || !spec) throw wrong("the version does not show the step that releases it");
  if (step.limits.shards !== 1) throw wrong("the released output has shards; collect it into one first");

  const key = publicKey("Ed25519", step.publicKey);
  const c = await verifyJws("sealflow-commit+jwt", pinned.commit, key, commit);
  const receipt = verifyReceipt(c.receipt, step.publicKey);
  const p = receipt.predicate;
  const repeated: [unknown, unknown][] = [
    [pinned.run, c.run],
    [stepName, c.step],
    [0, c.shard],
    ["ok", c.outcome],
    [step.programId, c.programId],
    [d.pipelineUid, c.pipelineUid],
    [d.pipelineUid, p.pipelineUid],
    [jwsDigest(pinned.descriptor), p.descriptor],
    [pinned.run, p.run],
    [stepName, p.step],
    [0, p.shard],
    [c.attempt, p.attempt],
    [step.programId, p.programId],
    [step.identity, p.identity],
    ["ok", p.exitClass],
    [step.trustProgram, p.trustProgram],
    [step.acceptRollback, p.acceptRollback],
  ];
  const isolated = p.isolation === "namespaces" || step.trustProgram !== undefined;
  if (repeated.some(([a, b]) => a !== b) || !isolated || c.attempt > step.limits.retryLimit + 1) {
    throw wrong("its commit is of another run, version or program");
  }
  const subject = receipt.subject.filter(({ name }) => name === subjectName(stepName, output, 0));
  const object = Object.hasOwn(c.outputs, output) ? c.outputs[output] : undefined;
  if (subject.length !== 1 || subject[0]?.digest.sha256 !== pinned.object.digest) throw wrong("another object");
  if (jcs(object ?? null) !== jcs(pinned.object)) throw wrong("another object");
  const edge = edgeName(stepName, output);
  const keyCommit = Object.hasOwn(p.keyCommits, edge) ? p.keyCommits[edge] : undefined;
  if (!keyCommit) throw wrong("its receipt does not commit to a key");
  await verifyLogged(source, pinned, c);
  return {
    descriptor: d,
    commit: c,
    receipt,
    edge,
    format: spec.format,
    keyCommit,
    associatedData: edgeAssociatedData({
      pipelineUid: d.pipelineUid,
      run: pinned.run,
      edge,
      shard: 0,
      attempt: c.attempt,
      format: spec.format,
    }),
  };
}

/** The commit counts: it is a leaf of the log that the producer's ledger signed. */
async function verifyLogged({ input, ledgerKey }: ImportSource, pinned: RunImport, c: Commit): Promise<void> {
  const signed = await verifyJws("sealflow-head+jwt", pinned.head, publicKey("Ed25519", ledgerKey), head);
  const entry = parse(logEntry, json(pinned.leafBytes), `import ${input}: log entry`);
  const bytes = utf8(pinned.leafBytes);
  const same =
    signed.ledgerKey === ledgerKey &&
    jcs(entry) === pinned.leafBytes &&
    leafBytes(entry).length === bytes.length &&
    entry.seq === pinned.leaf &&
    entry.kind === "commit" &&
    entry.pipelineUid === c.pipelineUid &&
    entry.run === c.run &&
    entry.step === c.step &&
    entry.shard === c.shard &&
    entry.attempt === c.attempt &&
    entry.digest === receiptDigest(c.receipt) &&
    entry.content === sha256hex(utf8(jcs({ outputs: c.outputs, log: c.log, releases: c.releases })));
  if (!same) throw new ProtocolError("LOG_PROOF", `import ${input}: the log entry is of another commit`);
  verifyInclusion(bytes, pinned.leaf, signed.size, pinned.inclusion, signed.root);
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new ProtocolError("SHAPE", "log entry: not JSON", { cause });
  }
}

/**
 * The wrapped key that is for this recipient.
 * @param recipientKey raw X25519 public key. @throws ProtocolError KEY when the release is not for it.
 */
export function wrappedFor(
  { descriptor: d, commit: c }: VerifiedImport,
  release: string,
  recipientKey: string,
): string {
  const named = d.releases[release]?.recipients ?? [];
  const mine = named.find((name) => d.recipients[name] === recipientKey);
  const sealed = mine === undefined ? undefined : c.releases[release]?.[mine];
  if (sealed === undefined) {
    throw new ProtocolError("KEY", `release ${release}: this pipeline is none of its recipients`);
  }
  return sealed;
}

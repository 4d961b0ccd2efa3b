/**
 * The ledger's log as an RFC 6962 Merkle tree (sections 2.1 to 2.1.2), SHA-256.
 * Verification here; the ledger builds proofs with `inclusionProof` and `consistencyProof` over any node source.
 */
import { concat, equalBytesHex, fromHex, hex } from "./bytes";
import { sha256 } from "./crypto";
import { ProtocolError } from "./errors";
import { HEX32 } from "./names";

export const leafHash = (leaf: Uint8Array): Uint8Array => sha256(concat(Uint8Array.of(0), leaf));
export const nodeHash = (left: Uint8Array, right: Uint8Array): Uint8Array =>
  sha256(concat(Uint8Array.of(1), left, right));
export const EMPTY_ROOT = sha256(new Uint8Array(0));

/** Hash of the perfect subtree with leaves [index·2^level, (index+1)·2^level). All such nodes below the size exist. */
export type NodeSource = (level: number, index: number) => Uint8Array | Promise<Uint8Array>;

/** Largest power of two smaller than n. */
function split(n: number): number {
  let k = 1;
  while (k * 2 < n) k *= 2;
  return k;
}

/** Root of leaves [start, start+n); start is a multiple of the tree's alignment, as RFC 6962 splits make it. */
export async function subtreeRoot(nodes: NodeSource, start: number, n: number): Promise<Uint8Array> {
  if (n === 0) return EMPTY_ROOT;
  const level = Math.log2(n);
  if (Number.isInteger(level) && start % n === 0) return nodes(level, start / n);
  const k = split(n);
  return nodeHash(await subtreeRoot(nodes, start, k), await subtreeRoot(nodes, start + k, n - k));
}

/** Audit path of leaf `index` in a tree of `size`, nearest sibling first; hex. */
export async function inclusionProof(nodes: NodeSource, index: number, size: number, start = 0): Promise<string[]> {
  if (size <= 1) return [];
  const k = split(size);
  return index < k
    ? [...(await inclusionProof(nodes, index, k, start)), hex(await subtreeRoot(nodes, start + k, size - k))]
    : [...(await inclusionProof(nodes, index - k, size - k, start + k)), hex(await subtreeRoot(nodes, start, k))];
}

/** Proof that the tree of `size` extends the tree of `old`; hex. */
export async function consistencyProof(nodes: NodeSource, old: number, size: number): Promise<string[]> {
  if (old === 0 || old === size) return [];
  return subproof(nodes, old, 0, size, true);
}

async function subproof(nodes: NodeSource, m: number, start: number, n: number, whole: boolean): Promise<string[]> {
  if (m === n) return whole ? [] : [hex(await subtreeRoot(nodes, start, n))];
  const k = split(n);
  return m <= k
    ? [...(await subproof(nodes, m, start, k, whole)), hex(await subtreeRoot(nodes, start + k, n - k))]
    : [...(await subproof(nodes, m - k, start + k, n - k, false)), hex(await subtreeRoot(nodes, start, k))];
}

/** One node of a proof. */
function nodeOf(text: string, wrong: () => ProtocolError): Uint8Array {
  if (!HEX32.test(text)) throw wrong();
  return fromHex(text);
}

/** RFC 9162 section 2.1.3.2. @throws ProtocolError LOG_PROOF. */
export function verifyInclusion(leaf: Uint8Array, index: number, size: number, proof: string[], root: string): void {
  const wrong = () => new ProtocolError("LOG_PROOF", `entry ${index} is not in the log of size ${size}`);
  if (!(index >= 0 && index < size)) throw wrong();
  let fn = index;
  let sn = size - 1;
  let r = leafHash(leaf);
  for (const p of proof) {
    if (sn === 0) throw wrong();
    const node = nodeOf(p, wrong);
    if (fn % 2 === 1 || fn === sn) {
      r = nodeHash(node, r);
      while (fn % 2 === 0 && fn !== 0) {
        fn = Math.floor(fn / 2);
        sn = Math.floor(sn / 2);
      }
    } else r = nodeHash(r, node);
    fn = Math.floor(fn / 2);
    sn = Math.floor(sn / 2);
  }
  if (sn !== 0 || !equalBytesHex(r, root)) throw wrong();
}

/** RFC 9162 section 2.1.4.2. @throws ProtocolError LOG_PROOF. */
export function verifyConsistency(
  old: { size: number; root: string },
  head: { size: number; root: string },
  proof: string[],
): void {
  const wrong = () =>
    new ProtocolError("LOG_PROOF", `the log of size ${head.size} does not extend the one of size ${old.size}`);
  if (old.size > head.size) throw wrong();
  if (old.size === head.size) {
    if (old.root !== head.root || proof.length > 0) throw wrong();
    return;
  }
  if (old.size === 0) {
    if (old.root !== hex(EMPTY_ROOT) || proof.length > 0) throw wrong();
    return;
  }
  const path = proof.map((p) => nodeOf(p, wrong));
  // Not by bits: `&` knows 32 of them, and sizes may be larger.
  if (old.size === 1 || split(old.size) * 2 === old.size) path.unshift(nodeOf(old.root, wrong));
  let fn = old.size - 1;
  let sn = head.size - 1;
  while (fn % 2 === 1) {
    fn = Math.floor(fn / 2);
    sn = Math.floor(sn / 2);
  }
  const first = path.shift();
  if (!first) throw wrong();
  let fr = first;
  let sr = first;
  for (const c of path) {
    if (sn === 0) throw wrong();
    if (fn % 2 === 1 || fn === sn) {
      fr = nodeHash(c, fr);
      sr = nodeHash(c, sr);
      while (fn % 2 === 0 && fn !== 0) {
        fn = Math.floor(fn / 2);
        sn = Math.floor(sn / 2);
      }
    } else sr = nodeHash(sr, c);
    fn = Math.floor(fn / 2);
    sn = Math.floor(sn / 2);
  }
  if (sn !== 0 || !equalBytesHex(fr, old.root) || !equalBytesHex(sr, head.root)) throw wrong();
}

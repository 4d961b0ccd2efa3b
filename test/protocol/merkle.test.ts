import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fromHex, hex, utf8 } from "../../protocol/bytes";
import { ProtocolError } from "../../protocol/errors";
import {
  consistencyProof,
  EMPTY_ROOT,
  inclusionProof,
  leafHash,
  type NodeSource,
  nodeHash,
  subtreeRoot,
  verifyConsistency,
  verifyInclusion,
} from "../../protocol/merkle";

const SIZES = 40;

/** As `expect(check).toThrow`, which is slow for the tens of thousands of checks here. */
function refuses(check: () => void): void {
  try {
    check();
  } catch (error) {
    if (error instanceof ProtocolError && error.code === "LOG_PROOF") return;
    throw error;
  }
  throw new Error(`accepted: ${check}`);
}

/** Every perfect subtree, computed once. */
function nodesOf(leaves: readonly Uint8Array[]): NodeSource {
  const levels = [leaves.map(leafHash)];
  for (let below = levels[0] ?? []; below.length > 1; below = levels.at(-1) ?? []) {
    const pairs = Array.from({ length: Math.floor(below.length / 2) }, (_, i) => below.slice(2 * i, 2 * i + 2));
    levels.push(pairs.map(([left, right]) => nodeHash(left as Uint8Array, right as Uint8Array)));
  }
  return (level, index) => {
    const node = levels[level]?.[index];
    if (!node) throw new Error(`no perfect subtree ${level}/${index}`);
    return node;
  };
}

const leaves = Array.from({ length: SIZES }, (_, i) => utf8(`leaf ${i}`));
const nodes = nodesOf(leaves);
let roots: string[];
beforeAll(async () => {
  roots = await Promise.all(Array.from({ length: SIZES + 1 }, async (_, n) => hex(await subtreeRoot(nodes, 0, n))));
});
const root = (size: number): string => roots[size] as string;
const leaf = (index: number): Uint8Array => leaves[index] as Uint8Array;
const flipped = (text: string): string => (text[0] === "0" ? "1" : "0") + text.slice(1);

test("the roots that every implementation has", async () => {
  const vectors = JSON.parse(readFileSync(join(__dirname, "../vectors/merkle.json"), "utf8"));
  const source = nodesOf(vectors.leaves.map(fromHex));
  for (const [size, expected] of vectors.roots.entries())
    expect(hex(await subtreeRoot(source, 0, size))).toBe(expected);
  expect(hex(EMPTY_ROOT)).toBe(vectors.roots[0]);
});

describe(`inclusion, in every tree of up to ${SIZES} leaves`, () => {
  test("every leaf is proved, with a path no longer than the tree is high", async () => {
    for (let size = 1; size <= SIZES; size++) {
      for (let index = 0; index < size; index++) {
        const proof = await inclusionProof(nodes, index, size);
        expect(proof.length).toBeLessThanOrEqual(Math.ceil(Math.log2(size)));
        verifyInclusion(leaf(index), index, size, proof, root(size));
      }
    }
  });

  test("another leaf, place, root, or a changed, shorter or longer proof is refused", async () => {
    for (let size = 1; size <= SIZES; size++) {
      for (let index = 0; index < size; index++) {
        const proof = await inclusionProof(nodes, index, size);
        const bad: [Uint8Array, number, number, string[], string][] = [
          [utf8("other"), index, size, proof, root(size)],
          [leaf(index), index, size, proof, flipped(root(size))],
          [leaf(index), index, size, proof.slice(1), root(size)],
          [leaf(index), index, size, proof.slice(0, -1), root(size)],
          [leaf(index), index, size, [...proof, root(size)], root(size)],
          [leaf(index), size, size, proof, root(size)],
          [leaf(index), -1, size, proof, root(size)],
          ...proof.map((_, i): [Uint8Array, number, number, string[], string] => [
            leaf(index),
            index,
            size,
            proof.map((p, j) => (i === j ? flipped(p) : p)),
            root(size),
          ]),
          ...Array.from({ length: size }, (_, i) => i)
            .filter((i) => i !== index)
            .map((i): [Uint8Array, number, number, string[], string] => [leaf(index), i, size, proof, root(size)]),
        ];
        for (const [leafBytes, at, n, path, expected] of bad) {
          // Of a single leaf's empty proof nothing can be cut.
          if (
            proof.length === 0 &&
            path.length === 0 &&
            leafBytes === leaf(index) &&
            at === index &&
            expected === root(size)
          )
            continue;
          refuses(() => verifyInclusion(leafBytes, at, n, path, expected));
        }
      }
    }
  });

  test("a proof that is no hex, or no digest, is refused like a wrong one", async () => {
    const [first, ...rest] = await inclusionProof(nodes, 3, 8);
    for (const bad of ["", "zz", `${first}00`, first?.toUpperCase() ?? ""]) {
      refuses(() => verifyInclusion(leaf(3), 3, 8, [bad, ...rest], root(8)));
    }
  });

  test("an inner node cannot pass as a leaf", async () => {
    const inner = Buffer.concat([leafHash(leaf(0)), leafHash(leaf(1))]);
    const proof = (await inclusionProof(nodes, 0, 4)).slice(1);
    refuses(() => verifyInclusion(inner, 0, 2, proof, root(4)));
  });
});

describe(`consistency, between all trees of up to ${SIZES} leaves`, () => {
  const at = (size: number) => ({ size, root: root(size) });

  test("every larger tree extends every smaller one", async () => {
    for (let size = 0; size <= SIZES; size++) {
      for (let old = 0; old <= size; old++)
        verifyConsistency(at(old), at(size), await consistencyProof(nodes, old, size));
    }
  });

  test("another root, a changed, shorter or longer proof, and a smaller tree are refused", async () => {
    for (let size = 0; size <= SIZES; size++) {
      for (let old = 0; old <= size; old++) {
        const proof = await consistencyProof(nodes, old, size);
        const check = (from: { size: number; root: string }, to: { size: number; root: string }, path: string[]) =>
          refuses(() => verifyConsistency(from, to, path));
        check({ size: old, root: flipped(root(old)) }, at(size), proof);
        // An empty tree says nothing about what follows it.
        if (old > 0) check(at(old), { size, root: flipped(root(size)) }, proof);
        check(at(old), at(size), [...proof, root(size)]);
        if (proof.length > 0) {
          check(at(old), at(size), proof.slice(1));
          check(at(old), at(size), proof.slice(0, -1));
        }
        for (let i = 0; i < proof.length; i++) {
          check(
            at(old),
            at(size),
            proof.map((p, j) => (i === j ? flipped(p) : p)),
          );
          check(
            at(old),
            at(size),
            proof.map((p, j) => (i === j ? "no hex" : p)),
          );
        }
        if (old < size) check(at(size), at(old), proof);
        if (old > 1 && old < size) {
          check({ size: old - 1, root: root(old) }, at(size), proof);
          check({ size: old, root: root(old - 1) }, at(size), proof);
        }
      }
    }
  });

  test("a log that was rewritten is found from every earlier head", async () => {
    const forked = nodesOf(leaves.map((l, i) => (i === 5 ? utf8("rewritten") : l)));
    for (let size = 6; size <= SIZES; size++) {
      const head = { size, root: hex(await subtreeRoot(forked, 0, size)) };
      for (let old = 6; old <= size; old++) {
        const proof = await consistencyProof(forked, old, size);
        refuses(() => verifyConsistency(at(old), head, proof));
      }
    }
  });

  test("sizes beyond 32 bits: a proof for another size is refused, the first of 2^32 + 1 leaves is proved", () => {
    // A tree of equal leaves has one node per level, so that it can be as large as one likes.
    const level: Uint8Array[] = [leafHash(leaf(0))];
    for (let i = 0; i < 32; i++) level.push(nodeHash(level[i] as Uint8Array, level[i] as Uint8Array));
    const left = level[32] as Uint8Array;
    const old = { size: 2 ** 32, root: hex(left) };
    const head = { size: 2 ** 32 + 1, root: hex(nodeHash(left, leafHash(leaf(0)))) };
    const last = hex(leafHash(leaf(0)));
    verifyConsistency(old, head, [last]);
    verifyInclusion(leaf(0), 2 ** 32, head.size, [hex(left)], head.root);
    verifyInclusion(leaf(0), 0, head.size, [...level.slice(0, 32).map(hex), last], head.root);
    const after = { size: 2 ** 32 + 2, root: hex(nodeHash(left, level[1] as Uint8Array)) };
    verifyConsistency(head, after, [last, last, hex(left)]);
    refuses(() => verifyConsistency(head, after, [last, hex(left)]));
  });
});

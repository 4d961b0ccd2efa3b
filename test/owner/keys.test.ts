import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { createRoot, formatRoot, loadRoot, parseRoot, publicFacts, readKeyFile, writeKeyFile } from "../../owner/keys";
import { rawPublic } from "../../protocol/crypto";
import { fingerprint, ownerReleaseKey, runKey } from "../../protocol/keys";
import { bytes } from "./support/pipeline";

const root = createRoot(bytes("root"), 3);
const text = formatRoot(root);
let dir: string;
beforeEach(() => {
  dir = mkdtempSync(path.join(tmpdir(), "sealflow-keys-"));
});
afterEach(() => rmSync(dir, { recursive: true }));

test("state, file and environment hold the same text and give the same root", () => {
  const file = path.join(dir, "root");
  writeFileSync(file, `${text}\n`, { mode: 0o600 });
  const expected = { fingerprint: fingerprint(root), generation: 3 };
  for (const source of [
    { source: "state", root: text } as const,
    { source: "file", path: file } as const,
    { source: "env" } as const,
    { source: "env", variable: "OTHER" } as const,
  ]) {
    expect(loadRoot(source, { expected, env: { SEALFLOW_ROOT: text, OTHER: text } })).toEqual(root);
  }
});

test("a root of another pipeline or generation is refused", () => {
  const expected = { fingerprint: fingerprint(root), generation: 2 };
  expect(() => loadRoot({ source: "state", root: text }, { expected })).toThrow(
    expect.objectContaining({ code: "KEY_OTHER" }),
  );
});

test.each([
  ["another text", "hello"],
  ["a cut key", text.slice(0, -1)],
  ["no generation", text.replace(".g3.", ".g0.")],
])("%s is not a root, and the message does not repeat it", (_what, bad) => {
  try {
    parseRoot(bad, "here");
    throw new Error("accepted");
  } catch (error) {
    expect(error).toMatchObject({ code: "KEY_FORM" });
    expect((error as Error).message).not.toContain(bad);
  }
});

test("a missing file or variable is named", () => {
  expect(() => loadRoot({ source: "file", path: path.join(dir, "none") })).toThrow(/none: no such file/);
  expect(() => loadRoot({ source: "env" }, { env: {} })).toThrow(/SEALFLOW_ROOT is not set/);
});

test("a key file that others can read is refused with the remedy", () => {
  const file = path.join(dir, "run.jwk");
  writeKeyFile(file, runKey(root));
  expect(statSync(file).mode & 0o777).toBe(0o600);
  chmodSync(file, 0o644);
  expect(() => readKeyFile(file, "Ed25519")).toThrow(/mode 0644.*chmod 600/s);
});

test("run key and release key come back as they were written; other keys are not overwritten unless asked", () => {
  const run = path.join(dir, "keys", "run.jwk");
  const release = path.join(dir, "keys", "release.jwk");
  writeKeyFile(run, runKey(root));
  writeKeyFile(run, runKey(root));
  writeKeyFile(release, ownerReleaseKey(root));
  const facts = publicFacts(root, "0".repeat(32), "spam");
  expect(rawPublic(readKeyFile(run, "Ed25519"))).toBe(facts.runKey);
  expect(rawPublic(readKeyFile(release, "X25519"))).toBe(facts.releaseKey);
  expect(() => readKeyFile(run, "X25519")).toThrow(expect.objectContaining({ code: "KEY_FORM" }));
  const other = runKey(createRoot(bytes("other")));
  expect(() => writeKeyFile(run, other)).toThrow(expect.objectContaining({ code: "KEY_EXISTS" }));
  writeKeyFile(run, other, { replace: true });
  expect(rawPublic(readKeyFile(run, "Ed25519"))).toBe(rawPublic(other));
});

test("a JWK whose public half is another's is refused", () => {
  const file = path.join(dir, "run.jwk");
  const jwk = { ...runKey(root).export({ format: "jwk" }), x: rawPublic(runKey(createRoot(bytes("other")))) };
  writeFileSync(file, JSON.stringify(jwk), { mode: 0o600 });
  expect(() => readKeyFile(file, "Ed25519")).toThrow(expect.objectContaining({ code: "KEY_FORM" }));
});

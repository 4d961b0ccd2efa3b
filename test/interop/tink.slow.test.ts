import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { tinkKeyset } from "../../owner/release";
import { edgeAssociatedData } from "../../protocol/associated";
import { hex } from "../../protocol/bytes";
import { HEADER_BYTES, openBytes, SEGMENT_BYTES, sealBytes, TAG_BYTES } from "../../protocol/stream";
import { tinkPython } from "../support/tink";

const tink = tinkPython();
const missing = "missing" in tink ? tink.missing : undefined;

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "sf-tink-"));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const key = new Uint8Array(randomBytes(32));
const place = {
  pipelineUid: "a".repeat(64),
  run: "b".repeat(64),
  edge: "split.train",
  shard: 0,
  attempt: 1,
  format: "jsonl" as const,
};
const ad = edgeAssociatedData(place);

/** Runs Tink on a file. @returns what it wrote, or undefined when it refused. */
function python(action: "seal" | "open", bytes: Uint8Array, associatedData = ad, withKey = key): Buffer | undefined {
  const at = (name: string) => join(dir, name);
  writeFileSync(at("keyset.json"), JSON.stringify(tinkKeyset(withKey)), { mode: 0o600 });
  writeFileSync(at("from"), bytes);
  const { status, stderr } = spawnSync(
    (tink as { python: string }).python,
    [join(__dirname, "stream_file.py"), action, at("keyset.json"), hex(associatedData), at("from"), at("to")],
    { encoding: "utf8" },
  );
  if (status === 0) return readFileSync(at("to"));
  // Its own error, not one of the script.
  expect(stderr).toMatch(/tink_error|TinkError|StatusNotOk|INVALID_ARGUMENT|OSError/);
  return undefined;
}

const first = SEGMENT_BYTES - HEADER_BYTES - TAG_BYTES;
const SIZES = [0, 1, 17, first - 1, first, first + 1, first + SEGMENT_BYTES - TAG_BYTES, 3 * SEGMENT_BYTES + 5];

(missing ? describe.skip : describe)(`Tink for Python${missing ? ` (${missing})` : ""}`, () => {
  it.each(SIZES)("opens our object of %i bytes, with the keyset that keys export prints", (size) => {
    const plaintext = randomBytes(size);
    const sealed = sealBytes(key, ad, randomBytes(32), randomBytes(7), plaintext);
    expect(python("open", sealed)?.equals(plaintext)).toBe(true);
  });

  it.each(SIZES)("writes an object of %i bytes that we open", (size) => {
    const plaintext = randomBytes(size);
    const sealed = python("seal", plaintext);
    if (!sealed) throw new Error("Tink did not seal");
    expect(Buffer.compare(openBytes(key, ad, sealed), plaintext)).toBe(0);
  });

  it.each<[string, () => Buffer | undefined]>([
    ["another attempt's", () => python("open", object(), edgeAssociatedData({ ...place, attempt: 2 }))],
    ["another key's", () => python("open", object(), ad, new Uint8Array(32).fill(9))],
    ["cut off", () => python("open", object().subarray(0, -1))],
  ])("refuses an object that is %s, as we do", (_what, open) => expect(open()).toBeUndefined());
});

const object = (): Uint8Array => sealBytes(key, ad, randomBytes(32), randomBytes(7), randomBytes(100));

/** Sources that are not on this machine: content that stayed elsewhere, or a path that is wrong. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { sealedDataset } from "../../provider/resources/sealed-dataset";
import { sealedImage } from "../../provider/resources/sealed-image";
import type { Context } from "../../provider/server/context";
import type { AnyDefinition } from "../../provider/server/definition";

const root = mkdtempSync(path.join(tmpdir(), "sealflow-source-"));
afterAll(() => rmSync(root, { recursive: true }));
const context: Context = {
  root,
  home: path.join(root, ".sealflow"),
  env: {},
  log: { status() {}, info() {}, warn() {} },
  signal: new AbortController().signal,
  now: () => new Date(0),
};
const deployed = { sourceDigest: "d".repeat(64) };
// Only what Check looks at; another relying party is not what this is about.
const pending = new Set(["relyingParty", "keys"]);

const check = async (definition: AnyDefinition, inputs: object, was: object) =>
  (await definition.check?.(context, inputs as never, { source: was, ...deployed } as never, pending)) ?? {};
const image = (now: object, was: object) => check(sealedImage, { name: "words", source: now }, was);
const dataset = (now: object, was: object) => check(sealedDataset, { dataset: "t", source: now }, was);

beforeAll(() => {
  mkdirSync(path.join(root, "steps/words"), { recursive: true });
  writeFileSync(path.join(root, "text.txt"), "a b c");
});

const folder = (name: string) => ({ kind: "folder", path: name });
const file = (name: string) => ({ kind: "file", path: name });

test("a misspelled path is refused where the deployed content lies: it would count as unchanged", async () => {
  expect(await image(folder("steps/wrds"), folder("steps/words"))).toMatchObject({
    failures: [
      { property: "source", reason: "steps/wrds is not there; what is deployed is from steps/words. Correct the path" },
    ],
  });
  expect(await dataset(file("txt.txt"), file("text.txt"))).toMatchObject({
    failures: [
      { property: "source", reason: "txt.txt is not there; what is deployed is from text.txt. Correct the path" },
    ],
  });
  expect(await image(folder("steps/wrds"), { kind: "registry", reference: "r" })).toMatchObject({
    failures: [{ reason: expect.stringContaining("what is deployed is from a registry") }],
  });
});

test("a machine without the content takes it for unchanged, under its old path and under a new one", async () => {
  for (const name of ["steps/gone", "steps/moved"]) {
    expect(await image(folder(name), folder("steps/gone"))).toMatchObject({ computed: deployed, failures: [] });
  }
  for (const name of ["gone.txt", "moved.txt"]) {
    expect(await dataset(file(name), file("gone.txt"))).toMatchObject({ computed: deployed, failures: [] });
  }
});

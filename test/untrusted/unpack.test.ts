/** A hostile layer of a simulated guest stays in the guest's root. */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { unpackTar } from "../../untrusted/node/guest/unpack";
import { tarOf } from "../owner/image/support";

let above: string;
let root: string;
beforeEach(() => {
  above = mkdtempSync(join(tmpdir(), "sealflow-unpack-"));
  root = join(above, "root");
  mkdirSync(join(root, "a"), { recursive: true });
  writeFileSync(join(above, "other"), "");
  writeFileSync(join(root, "kept"), "");
});
afterEach(() => rmSync(above, { recursive: true, force: true }));

const unpacked = async (name: string): Promise<void> =>
  unpackTar(Readable.from([await tarOf([{ name }])]), root, () => false);

test.each([".wh.", ".wh..", ".wh...", "a/.wh.", "a/.wh...", "a/.wh.../"])(
  "the whiteout %s is refused",
  async (name) => {
    await expect(unpacked(name)).rejects.toMatchObject({ code: "IMAGE" });
    expect([join(above, "other"), join(root, "kept"), join(root, "a")].every(existsSync)).toBe(true);
  },
);

test("a whiteout with a name deletes what it names", async () => {
  await unpacked(".wh.kept");
  expect([join(root, "kept"), join(root, "a")].map(existsSync)).toEqual([false, true]);
});

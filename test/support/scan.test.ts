import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { scan, scanString } from "./scan";

const MARKER = "planted-4f1c9b2e7a";

describe("the scan finds a planted string", () => {
  it.each([
    ["as it is", `..${MARKER}..`],
    ["in hex", Buffer.from(`x${MARKER}y`).toString("hex")],
    ["in base64 at offset 0", Buffer.from(`${MARKER} and more`).toString("base64")],
    ["in base64 at offset 1", Buffer.from(`1${MARKER} and more`).toString("base64")],
    ["in base64url at offset 2", Buffer.from(`12${MARKER} and more`).toString("base64url")],
    ["in UTF-16", Buffer.from(MARKER, "utf16le").toString("latin1")],
  ])("%s", (_how, text) => {
    const dir = mkdtempSync(path.join(tmpdir(), "scan-"));
    writeFileSync(path.join(dir, "f"), Buffer.from(text, "latin1"));
    expect(scan([dir], [MARKER]).hits).not.toEqual([]);
    rmSync(dir, { recursive: true });
  });

  it("and nothing where there is none, and refuses to look nowhere", () => {
    expect(scanString("nothing here", "x", [MARKER])).toEqual([]);
    expect(() => scan(["/no/such/place"], [MARKER])).toThrow(/ENOENT/);
  });
});

/**
 * Sealed bytes are the same on every Node: they are in digests, identities and grants, and the owner's machine, CI and a
 * colleague's machine must agree on them.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { folderWith, removeTempFolders, smallRunnerLayer, tarOf, tempFolder, writeLayout } from "./image/support";

afterAll(removeTempFolders);

/** Another major than ours, new enough to load our libraries; from anywhere on the PATH. */
const other = (process.env.PATH ?? "")
  .split(delimiter)
  .map((folder) => join(folder, "node"))
  .find((node) => {
    const { stdout } = spawnSync(node, ["-p", "process.versions.node"], { encoding: "utf8" });
    const [major = 0, minor = 0] = (stdout ?? "").split(".").map(Number);
    return String(major) !== process.versions.node.split(".")[0] && (major > 20 || (major === 20 && minor >= 19));
  });

interface Sealed {
  readonly digests: { node: string; image: Record<string, unknown>; data: Record<string, unknown> };
  /** Path below the folder of results → SHA-256. */
  readonly files: Record<string, string>;
}

async function sources(): Promise<string[]> {
  const folder = folderWith({
    "main.js": "console.log('step');\n",
    "lib/größe.txt": "a name beyond ASCII",
    [`${"deep/".repeat(30)}file`]: "a name beyond 100 bytes",
    empty: "",
    "large.bin": Buffer.alloc(3_000_000, "sealed "),
  });
  symlinkSync("../main.js", join(folder, "lib", "link"));
  const layer = await tarOf([
    { name: "etc/", type: "directory" },
    { name: "etc/base", content: "base ".repeat(10_000) },
  ]);
  const base = writeLayout({ layers: [layer], config: { config: { Env: ["A=1"] } } });
  const dataset = join(tempFolder(), "mails.jsonl");
  writeFileSync(dataset, Buffer.alloc(2_500_000, '{"text":"mail"}\n'));
  return [folder, base, dataset, JSON.stringify(await smallRunnerLayer())];
}

function sealWith(node: string, given: readonly string[]): Sealed {
  const out = tempFolder();
  const preload = join(__dirname, "../support/typescript.js");
  const script = join(__dirname, "support/seal-all.ts");
  const stdout = execFileSync(node, ["--require", preload, script, ...given, out], { encoding: "utf8" });
  const files = readdirSync(out, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
    .map((file) => [file.slice(out.length + 1), createHash("sha256").update(readFileSync(file)).digest("hex")]);
  return { digests: JSON.parse(stdout), files: Object.fromEntries(files) };
}

test("an image and a dataset have their pinned digests", async () => {
  const { digests } = sealWith(process.execPath, await sources());
  // A change here is another identity of every step and another object of every dataset: a new protocol version.
  expect(digests.image).toMatchObject({
    digest: "ccaa64c09b06439f748270350b977d5e6832c01bbf84fcd5e94b37bf14c3e8f1",
    kekId: "3eee5cfb722c294c798106d4189a4c5498f025556138c16e5b30fe6d45cd5eb7",
    sourceDigest: "e308d921802993a44a255bcbe09ecbf5fa41bb262cb5e77bb3a158db427399ae",
  });
  expect(digests.data).toEqual({
    contentDigest: "725fc24ef0c285af3727d655bc126af28fce55de015262761d0f8daf0fc26b4c",
    digest: "b71ca08cafd35a1528bad3602cb6a01e69d5e2e0e397db6dc8e24baaa44d432b",
    size: 2_500_088,
  });
});

(other ? test : test.skip)("another major of Node writes the same files", async () => {
  const given = await sources();
  const ours = sealWith(process.execPath, given);
  const theirs = sealWith(other as string, given);
  expect(theirs.digests.node).not.toBe(ours.digests.node);
  expect(theirs.digests.image).toEqual(ours.digests.image);
  expect(theirs.digests.data).toEqual(ours.digests.data);
  expect(theirs.files).toEqual(ours.files);
  expect(Object.keys(ours.files).length).toBeGreaterThan(7);
});

import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { folderEntries, type TarEntry, tar } from "../../../owner/oci";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), "sealflow-folder-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const write = (name: string, content = "") => {
  mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
  writeFileSync(path.join(folder, name), content);
};
const names = (entries: readonly TarEntry[]) => entries.map((e) => e.name);
const refused = (...messages: (string | RegExp)[]) =>
  expect(folderEntries(folder, "app", true)).rejects.toMatchObject({
    code: "SOURCE_ENTRY",
    message: expect.stringMatching(
      new RegExp(messages.map((m) => (typeof m === "string" ? m : m.source)).join("[^]*")),
    ),
  });

test("sorted by bytes, folders before their content, the same in every locale", async () => {
  for (const name of ["b", "a/z", "a-", "B", "ä", "a/B", "Z/x"]) write(name);
  expect(names(await folderEntries(folder, "srv/app", true))).toEqual([
    "srv",
    "srv/app",
    "srv/app/B",
    "srv/app/Z",
    "srv/app/Z/x",
    "srv/app/a",
    "srv/app/a/B",
    "srv/app/a/z",
    "srv/app/a-",
    "srv/app/b",
    "srv/app/ä",
  ]);
  expect(names(await folderEntries(folder, "srv/app", false))[0]).toBe("srv/app");
  expect(names(await folderEntries(folder, "", true))[0]).toBe("B");
});

test("leaves out .git, .sealflow and what .sealflowignore lists, and nothing else", async () => {
  for (const name of [".git/config", ".sealflow/keys/x", "sub/.git", "a.log", "keep.log", "node_modules/m/index.js"])
    write(name);
  for (const name of ["tmp/x", "tmp2/x", ".env", ".gitignore"]) write(name);
  write(".sealflowignore", "*.log\n!keep.log\n/tmp/\n# a comment\n");
  const found = names(await folderEntries(folder, "app", false));
  expect(found).toEqual(
    [
      "",
      "/.env",
      "/.gitignore",
      "/keep.log",
      "/node_modules",
      "/node_modules/m",
      "/node_modules/m/index.js",
      "/sub",
      "/tmp2",
      "/tmp2/x",
    ].map((name) => `app${name}`),
  );
});

test("links that stay inside are kept, also to nothing, to a folder and up to the folder itself", async () => {
  write("a/file");
  for (const [name, target] of [
    ["l1", "a/file"],
    ["l2", "a"],
    ["l3", "nothing"],
    ["a/l4", "../a/./file"],
    ["a/l5", ".."],
  ] as const)
    symlinkSync(target, path.join(folder, name));
  const links = (await folderEntries(folder, "app", true)).filter((e) => e.type === "symlink");
  expect(links).toHaveLength(5);
});

describe("hostile content", () => {
  test.each([
    ["an absolute link", "/etc/passwd"],
    ["a link upwards", "../outside"],
    ["a link upwards from below", "sub/../../outside"],
  ])("%s is refused with its target", async (_what, target) => {
    symlinkSync(target, path.join(folder, "link"));
    await refused("link: is a link to", target);
  });

  test("a link that escapes only through another link is refused", async () => {
    write("sub/deep/file");
    symlinkSync("../..", path.join(folder, "sub/deep/up"));
    symlinkSync("sub/deep/up/..", path.join(folder, "link"));
    await refused("link: is a link to");
  });

  test("a named pipe, a socket and a device are refused, all at once", async () => {
    execFileSync("mkfifo", [path.join(folder, "pipe")]);
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(path.join(folder, "socket"), resolve));
    const made = (() => {
      try {
        execFileSync("mknod", [path.join(folder, "null"), "c", "1", "3"], { stdio: "ignore" });
        return true;
      } catch {
        return false; // needs privileges
      }
    })();
    try {
      await refused(...(made ? ["null: is a device"] : []), "pipe: is a named pipe", "socket: is a socket");
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
  });

  test("a refused entry that is ignored does not matter", async () => {
    execFileSync("mkfifo", [path.join(folder, "pipe")]);
    write(".sealflowignore", "pipe\n");
    expect(names(await folderEntries(folder, "app", false))).toEqual(["app"]);
  });

  test("names that are whiteouts, or no UTF-8, are refused", async () => {
    write(".wh.etc");
    writeFileSync(Buffer.concat([Buffer.from(`${folder}/bad-`), Buffer.of(0xff)]), "");
    await refused(".wh.etc", "not UTF-8");
    await refused("not UTF-8");
  });

  test("names that would steer a terminal, turn the text or begin a line of their own are refused in quotes", async () => {
    for (const name of ["\u001b[2Jclean", "a\n  nothing is wrong", "gpj.\u202eexe", "left\u200emark"]) {
      execFileSync("mkfifo", [path.join(folder, name)]);
    }
    const error = await folderEntries(folder, "app", false).catch((thrown: Error) => thrown);
    const lines = (error as Error).message.split("\n").slice(1);
    expect(
      lines.map((line) => line.trim().replace(": is a named pipe, only files, folders and links can be sealed", "")),
    ).toEqual(['"\\u001b[2Jclean"', '"a\\n  nothing is wrong"', '"gpj.\\u202eexe"', '"left\\u200emark"']);
  });

  test("a path that is too long for Linux inside the image is refused; a long one that fits is kept", async () => {
    const parts = Array.from({ length: 14 }, () => "n".repeat(250));
    mkdirSync(path.join(folder, ...parts), { recursive: true });
    expect(await folderEntries(folder, "app", true)).toHaveLength(15);
    await expect(folderEntries(folder, Array(3).fill("p".repeat(250)).join("/"), true)).rejects.toMatchObject({
      code: "SOURCE_ENTRY",
      message: expect.stringContaining("longer than 4095 bytes"),
    });
  });

  test("more problems than one can read are counted", async () => {
    for (let i = 0; i < 30; i++) symlinkSync("/etc", path.join(folder, `l${i}`));
    await refused("and 10 more");
  });

  test("a file that grows, shrinks, or becomes a link or a pipe before it is read is refused", async () => {
    const read = async (change: () => void) => {
      rmSync(folder, { recursive: true });
      mkdirSync(folder);
      write("file", "12345");
      const entries = await folderEntries(folder, "app", true);
      change();
      for await (const _chunk of tar(entries));
    };
    const file = () => path.join(folder, "file");
    await expect(read(() => writeFileSync(file(), "123456"))).rejects.toMatchObject({ code: "SOURCE_CHANGED" });
    await expect(read(() => writeFileSync(file(), "1"))).rejects.toMatchObject({ code: "SOURCE_CHANGED" });
    await expect(
      read(() => {
        rmSync(file());
        execFileSync("mkfifo", [file()]);
      }),
    ).rejects.toMatchObject({ code: "SOURCE_CHANGED" });
    await expect(
      read(() => {
        rmSync(file());
        symlinkSync("/etc/passwd", file());
      }),
    ).rejects.toMatchObject({ code: "ELOOP" });
  });

  const notRoot = process.getuid?.() !== 0 ? test : test.skip;
  notRoot("a folder that cannot be read is named", async () => {
    mkdirSync(path.join(folder, "closed"));
    chmodSync(path.join(folder, "closed"), 0o000);
    await refused("closed: cannot be read");
    chmodSync(path.join(folder, "closed"), 0o700);
  });
});

import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { packageRoot } from "../../cli/engine";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sealflow-launcher-"));
  // An older Node, as far as the launcher can see; the child it starts is a real one.
  writeFileSync(
    join(folder, "old.js"),
    'Object.defineProperty(process, "versions", { value: { ...process.versions, node: "20.19.0" } });',
  );
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Starts the launcher under the "older" Node with `script` to run. */
function launch(script: string, root = packageRoot(), path = process.env.PATH): ChildProcess {
  writeFileSync(join(folder, "script.js"), script);
  const helper = join(packageRoot(), "bin", "node24.js");
  const start = `require(${JSON.stringify(helper)}).reexec(process.argv[1], [process.argv[2], "a b"])`;
  return spawn(process.execPath, ["-r", join(folder, "old.js"), "-e", start, root, join(folder, "script.js")], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, PATH: path },
  });
}

async function end(child: ChildProcess) {
  let out = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on("data", (data) => {
      out += data;
    });
  }
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve) =>
    child.on("close", (...ended) => resolve(ended)),
  );
  return { code, signal, out };
}

describe("under an older Node the launcher", () => {
  it("runs the script under Node 24 with its arguments and passes the exit code on", async () => {
    const script = "console.log(process.versions.node.split('.')[0] >= 24, process.argv[2]); process.exit(42);";
    expect(await end(launch(script))).toEqual({ code: 42, signal: null, out: "true a b\n" });
  });

  it("passes SIGTERM on and lets the script end in its own way", async () => {
    const child = launch(
      "process.on('SIGTERM', () => { console.log('bye'); process.exit(3); }); setInterval(() => {}, 1000); console.log('up');",
    );
    child.stdout?.once("data", () => child.kill("SIGTERM"));
    expect(await end(child)).toEqual({ code: 3, signal: null, out: "up\nbye\n" });
  });

  it("ends by the signal that ended the script", async () => {
    expect(await end(launch("process.kill(process.pid, 'SIGKILL')"))).toMatchObject({ code: null, signal: "SIGKILL" });
  });

  it("says what to install where there is no Node 24", async () => {
    const { code, out } = await end(launch("", folder, folder));
    expect(code).toBe(1);
    expect(out).toContain("install Node 24 and put it on PATH");
  });
});

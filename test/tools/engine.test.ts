import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Engine, type EngineProgress, ensureEngine, projectEnvironment, runPulumi } from "../../cli/engine";
import type { Maker } from "../../cli/engine/engine";
import { findGo } from "../../cli/engine/go-build";
import { isAtLeast } from "../../cli/engine/versions";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sealflow-engine-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const SYSTEM_PATH = "/usr/bin:/bin";

/** An executable that prints `output` whatever it is asked. */
function program(file: string, output: string, code = 0): void {
  mkdirSync(join(file, ".."), { recursive: true });
  writeFileSync(file, `#!/bin/sh\necho '${output}'\nexit ${code}\n`);
  chmodSync(file, 0o755);
}

function find(makers: Maker[] = [], events: EngineProgress[] = [], more: NodeJS.ProcessEnv = {}): Promise<Engine> {
  const env = { PATH: `${join(folder, "path")}:${SYSTEM_PATH}`, SEALFLOW_CACHE: join(folder, "cache"), ...more };
  return ensureEngine({ env, makers, onProgress: (event) => events.push(event) });
}

const works: Maker = {
  source: "built",
  label: "a build that works",
  make: async (root) => {
    program(join(root, "bin", "pulumi"), "v3.259.0");
    return undefined;
  },
};
const fails: Maker = { source: "official", label: "an installation that fails", make: async () => "no such host" };

describe("the engine on PATH", () => {
  it("is used when it is recent enough, with our language host behind it when it has none", async () => {
    program(join(folder, "path", "pulumi"), "v3.220.0");
    const engine = await find();
    expect(engine).toMatchObject({ version: "3.220.0", source: "path", pulumi: join(folder, "path", "pulumi") });
    expect(readdirSync(engine.hosts ?? "")).toContain("pulumi-language-nodejs");
  });

  it("brings its own language host when it has one", async () => {
    program(join(folder, "path", "pulumi"), "v3.300.1");
    program(join(folder, "path", "pulumi-language-nodejs"), "");
    expect((await find()).hosts).toBeUndefined();
  });

  it.each([
    ["is too old", "v3.219.9", 0, "older than 3.220.0"],
    ["prints no version", "hello", 0, "printed no version"],
    ["fails", "boom", 3, "boom"],
  ])("is skipped with the reason when it %s", async (_why, output, code, reason) => {
    program(join(folder, "path", "pulumi"), output, code);
    const events: EngineProgress[] = [];
    expect((await find([works], events)).source).toBe("built");
    expect(events.map((event) => event.message).join("\n")).toContain(reason);
  });
});

describe("the cache", () => {
  it("holds what was made, so the second time nothing is made", async () => {
    const made = await find([fails, works]);
    expect(made).toMatchObject({ source: "built", version: "3.259.0" });
    expect(await find([fails])).toMatchObject({ source: "cache", pulumi: made.pulumi });
  });

  it("gets its launchers back when they were lost or name another Node", async () => {
    const { root } = await find([works]);
    const launcher = join(root, "bin", "pulumi-language-nodejs");
    writeFileSync(launcher, "#!/bin/sh\nexec /no/such/node\n");
    rmSync(join(root, "host"), { recursive: true });
    await find();
    expect(readFileSync(launcher, "utf8")).toContain(process.execPath);
    expect(existsSync(join(root, "host", "main.js"))).toBe(true);
  });

  it("is left clean by a maker that fails half way", async () => {
    const half: Maker = {
      source: "built",
      label: "half a build",
      make: async (root) => {
        mkdirSync(join(root, "bin"));
        writeFileSync(join(root, "bin", "part"), "x");
        return "out of disk";
      },
    };
    await expect(find([half])).rejects.toMatchObject({ code: "ENGINE_UNAVAILABLE" });
    expect(readdirSync(join(folder, "cache", "engine"))).toEqual([]);
  });

  it("takes nothing for which only TLS vouches where SEALFLOW_ENGINE=built says so", async () => {
    const built = { SEALFLOW_ENGINE: "built" };
    const official: Maker = { ...works, source: "official", label: "an installation that works" };
    await expect(find([official], [], built)).rejects.toThrow(/only TLS vouches for it/);
    expect(await find([official])).toMatchObject({ source: "official" });
    expect(await find([official, works], [], built)).toMatchObject({ source: "built" });
    expect(await find([fails], [], built)).toMatchObject({ source: "cache" });
  });

  it("is filled once when two ask at the same time", async () => {
    let made = 0;
    const slow: Maker = {
      ...works,
      make: async (root, report) => {
        made++;
        await new Promise((resolve) => setTimeout(resolve, 200));
        return works.make(root, report);
      },
    };
    const engines = await Promise.all([find([slow]), find([slow])]);
    expect(made).toBe(1);
    expect(engines.map((engine) => engine.version)).toEqual(["3.259.0", "3.259.0"]);
  });

  it("is taken over from a maker that died", async () => {
    await find([works]);
    const engines = join(folder, "cache", "engine");
    const [name] = readdirSync(engines);
    rmSync(join(engines, name as string), { recursive: true });
    writeFileSync(join(engines, `${name}.lock`), "999999999");
    expect((await find([works])).source).toBe("built");
  });
});

test("when no source works the message gives every reason and what to install", async () => {
  program(join(folder, "path", "pulumi"), "v3.1.0");
  const error = await find([fails]).catch((thrown: Error) => thrown);
  expect(error).toMatchObject({ name: "EngineError", code: "ENGINE_UNAVAILABLE" });
  for (const part of ["version 3.1.0", "no such host", "install Pulumi 3.220.0", "install Go 1.24"]) {
    expect((error as Error).message).toContain(part);
  }
});

describe("a cache that others can write", () => {
  const cache = () => join(folder, "cache");
  const shared = { code: "CACHE_SHARED", message: expect.stringContaining("SEALFLOW_CACHE") };
  const asRoot = process.getuid?.() === 0 ? it : it.skip;

  it.each(["cache", "cache/engine", "cache/language-host", "."])(
    "is refused for what it would run: %s",
    async (open) => {
      program(join(folder, "path", "pulumi"), "v3.300.1");
      for (const made of ["engine", "language-host"]) mkdirSync(join(cache(), made), { recursive: true });
      expect(await find()).toMatchObject({ source: "path" });
      chmodSync(join(folder, open), 0o777);
      await expect(find()).rejects.toMatchObject(shared);
    },
  );

  asRoot("as is an engine of another user in it", async () => {
    await find([works]);
    const [made] = readdirSync(join(cache(), "engine"));
    chownSync(join(cache(), "engine", String(made), "bin", "pulumi"), 12345, 12345);
    await expect(find([works])).rejects.toMatchObject(shared);
  });

  it("is refused when a link leads there", async () => {
    mkdirSync(join(folder, "open"), { mode: 0o777 });
    chmodSync(join(folder, "open"), 0o777);
    symlinkSync(join(folder, "open"), cache());
    await expect(find([works])).rejects.toMatchObject(shared);
  });

  it("also for what Node compiled", async () => {
    mkdirSync(join(cache(), "compiled"), { recursive: true });
    chmodSync(join(cache(), "compiled"), 0o777);
    const engine = {
      root: folder,
      pulumi: join(folder, "pulumi"),
      hosts: undefined,
      version: "1",
      source: "path",
    } as const;
    await expect(projectEnvironment(folder, { engine, env: { SEALFLOW_CACHE: cache() } })).rejects.toMatchObject(
      shared,
    );
  });

  it("is made for its user only", async () => {
    await find([works]);
    expect(statSync(cache()).mode & 0o777).toBe(0o700);
  });
});

describe("Go", () => {
  it.each([
    ["too old", "go1.23.4\nauto", "older than 1.24"],
    ["without leave to fetch its toolchain", "go1.24.0\nlocal", "GOTOOLCHAIN=local"],
  ])("%s is refused with the reason", async (_what, output, reason) => {
    program(join(folder, "go"), output.replace("\n", "'; echo '"));
    expect(await findGo(folder)).toMatchObject({ why: expect.stringContaining(reason) });
  });
  it("of a later version is used", async () => {
    program(join(folder, "go"), "go1.26.1'; echo 'local");
    expect(await findGo(folder)).toEqual({ go: join(folder, "go") });
  });
});

test.each([
  ["v3.220.0", "3.220.0", true],
  ["3.221.0-alpha.1", "3.220.0", true],
  ["3.219.99", "3.220.0", false],
  ["4.0.0", "3.220.0", true],
  ["go1.24", "1.24", true],
  ["nothing", "1.0.0", false],
])("version %s is at least %s: %s", (found, minimum, expected) => {
  expect(isAtLeast(found, minimum)).toBe(expected);
});

describe("the environment of a project", () => {
  const engine = (): Engine => ({
    root: folder,
    pulumi: join(folder, "bin", "pulumi"),
    hosts: undefined,
    version: "3.259.0",
    source: "cache",
  });

  it("leads nowhere outside the project, whatever the caller's environment says", async () => {
    const env = await projectEnvironment(folder, {
      engine: engine(),
      env: {
        PATH: SYSTEM_PATH,
        HOME: "/home/someone",
        PULUMI_HOME: "/home/someone/.pulumi",
        PULUMI_BACKEND_URL: "https://elsewhere",
        PULUMI_ACCESS_TOKEN: "token",
        PULUMI_CONFIG_PASSPHRASE: "other",
        SEALFLOW_CACHE: join(folder, "cache"),
      },
    });
    expect(env).toMatchObject({
      PULUMI_HOME: join(folder, ".sealflow", "pulumi", "home"),
      PULUMI_BACKEND_URL: `file://${join(folder, ".sealflow", "pulumi", "state")}`,
      PULUMI_SKIP_UPDATE_CHECK: "true",
      NODE_COMPILE_CACHE: join(folder, "cache", "compiled"),
    });
    expect(env).not.toHaveProperty("PULUMI_ACCESS_TOKEN");
    expect(env).not.toHaveProperty("PULUMI_CONFIG_PASSPHRASE");
    expect(env.PATH?.startsWith(`${join(folder, "bin")}:`)).toBe(true);
  });

  it("keeps one random passphrase, also when two processes start at once", async () => {
    const [a, b] = await Promise.all([1, 2].map(() => projectEnvironment(folder, { engine: engine() })));
    const file = a?.PULUMI_CONFIG_PASSPHRASE_FILE as string;
    expect(b?.PULUMI_CONFIG_PASSPHRASE_FILE).toBe(file);
    const passphrase = readFileSync(file, "utf8");
    expect(passphrase).toMatch(/^[\w-]{43}$/);
    await projectEnvironment(folder, { engine: engine() });
    expect(readFileSync(file, "utf8")).toBe(passphrase);
  });

  it.each([
    ["that everybody reads, as a checkout makes them", (file: string) => chmodSync(file, 0o644)],
    [
      "that is a link",
      (file: string) => {
        renameSync(file, `${file}.other`);
        symlinkSync(`${file}.other`, file);
      },
    ],
  ])("takes no passphrase %s", async (_what, change) => {
    const env = await projectEnvironment(folder, { engine: engine() });
    change(String(env.PULUMI_CONFIG_PASSPHRASE_FILE));
    await expect(projectEnvironment(folder, { engine: engine() })).rejects.toMatchObject({ code: "PASSPHRASE_MODE" });
  });

  it("reports a failing command as its exit code and output", async () => {
    program(join(folder, "bin", "pulumi"), "no stack selected", 7);
    expect(await runPulumi(["up"], { cwd: folder, engine: engine(), stdio: "pipe" })).toEqual({
      code: 7,
      stdout: "no stack selected\n",
      stderr: "",
    });
  });
});

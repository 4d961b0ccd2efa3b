import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { packageRoot } from "./package-root";
import { which } from "./path-engine";
import { lastWords, run } from "./process";
import type { EngineProgress } from "./types";
import { ENGINE_VERSION, isAtLeast, MINIMUM_GO_VERSION } from "./versions";

/** For download and compilation, in milliseconds. Measured: 4 to 5 minutes on two cores. */
const BUILD_TIMEOUT_MS = 25 * 60_000;
/** How many packages the engine is made of, about; only for the progress line. */
const PACKAGES = 1700;
const PACKAGE = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version";

type Report = (phase: EngineProgress["phase"], message: string) => void;

/** Go at its usual places, if it is new enough. @returns its path, or why it cannot be used */
export async function findGo(path: string | undefined): Promise<{ go: string } | { why: string }> {
  const go = which("go", `${path ?? ""}:/usr/local/go/bin`);
  if (go === undefined) return { why: "Go is not installed" };
  const outcome = await run(go, ["env", "GOVERSION", "GOTOOLCHAIN"], { timeoutMs: 20_000 });
  if (outcome.code !== 0) return { why: `${go}: ${lastWords(outcome)}` };
  const [version = "", toolchain = ""] = outcome.stdout.split("\n");
  if (!isAtLeast(version, MINIMUM_GO_VERSION)) return { why: `${go} is ${version}, older than ${MINIMUM_GO_VERSION}` };
  if (toolchain === "local" && !isAtLeast(version, "1.25.11")) {
    return { why: `${go} is ${version}, the engine needs 1.25.11, and GOTOOLCHAIN=local forbids fetching it` };
  }
  return { go };
}

/**
 * Builds the engine from the modules pinned in tools/pulumi into `<root>/bin`. Go's own caches are used and kept.
 * @returns why it did not work; undefined when it did
 */
export function buildEngine(root: string, report: Report): Promise<string | undefined> {
  return buildTools({
    bin: join(root, "bin"),
    module: join(packageRoot(), "tools", "pulumi"),
    what: "the Pulumi engine",
    packages: PACKAGES,
    flags: ["-tags", "osusergo", "-ldflags", `-s -w -X ${PACKAGE}=v${ENGINE_VERSION}`],
    report,
  });
}

export interface GoBuild {
  /** Folder for the executables. */
  bin: string;
  /** Folder of the go.mod that pins what is built. */
  module: string;
  /** For people, such as "the Pulumi engine". */
  what: string;
  /** How many packages are compiled, about; only for the progress line. */
  packages: number;
  /** Flags of `go build`. */
  flags: readonly string[];
  report: Report;
}

/**
 * Fetches the pinned modules and compiles the tools among them.
 * @returns why it did not work; undefined when it did
 */
export async function buildTools(options: GoBuild): Promise<string | undefined> {
  const { bin, module: cwd, what, packages, flags, report } = options;
  const found = await findGo(process.env.PATH);
  if ("why" in found) return found.why;
  const env = { ...process.env, GOFLAGS: "-mod=readonly -buildvcs=false", GOWORK: "off" };
  const until = Date.now() + BUILD_TIMEOUT_MS;

  let downloads = 0;
  report("download", `fetching the Go modules of ${what}`);
  const tags = flags[0] === "-tags" ? flags.slice(0, 2) : [];
  const download = await run(found.go, ["list", "-deps", ...tags, "tool"], {
    cwd,
    env,
    timeoutMs: until - Date.now(),
    onLine: (line) => {
      if (!line.includes("downloading")) return;
      downloads++;
      if (downloads % 50 === 0) report("download", `fetching Go modules: ${downloads}`);
    },
  });
  if (download.timedOut) return `fetching the Go modules took longer than ${BUILD_TIMEOUT_MS / 60_000} minutes`;
  if (download.code !== 0) return `fetching the Go modules failed: ${lastWords(download)}`;

  let compiled = 0;
  report("compile", `compiling ${what} with Go (a few minutes, once)`);
  mkdirSync(bin, { recursive: true });
  const build = await run(found.go, ["build", "-v", ...flags, "-o", `${bin}/`, "tool"], {
    cwd,
    env,
    timeoutMs: until - Date.now(),
    onLine: () => {
      compiled++;
      if (compiled % 100 === 0) report("compile", `compiling: ${compiled} of about ${packages} packages`);
    },
  });
  if (build.timedOut) return `the build took longer than ${BUILD_TIMEOUT_MS / 60_000} minutes`;
  return build.code === 0 ? undefined : `the build failed: ${lastWords(build, 10)}`;
}

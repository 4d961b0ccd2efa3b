/**
 * Fetches the pinned Debian packages with apt, as root or not, and leaves the system as it is: a first try uses the
 * package lists that are there; otherwise fresh lists are fetched into a private folder.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, realpath, writeFile } from "node:fs/promises";
import { join, sep } from "node:path";
import { promisify } from "node:util";
import { RunnerLayerError } from "./errors";
import type { DebianInputs, DebianPackage } from "./inputs";

const run = promisify(execFile);

/** Of one apt command, in milliseconds. */
const TIMEOUT_MS = 5 * 60_000;

export const UNPINNED = "SEALFLOW_RUNNER_LAYER_UNPINNED";

export interface FetchOptions {
  /** An empty folder of the caller, removed by the caller. */
  readonly work: string;
  /** Why other versions than the pinned ones are taken where those are not served; absent: they are not. */
  readonly unpinned?: string | undefined;
  readonly onProgress: (message: string) => void;
  /** Default: the process's own. */
  readonly env?: NodeJS.ProcessEnv;
}

export interface FetchedPackage {
  readonly name: string;
  readonly version: string;
  readonly sha256: string;
  /** Path in the layer → bytes. */
  readonly files: ReadonlyMap<string, Buffer>;
}

/** @throws RunnerLayerError APT_MISSING, APT_VERSION, APT_FAILED, HASH */
export async function fetchPackages(inputs: DebianInputs, options: FetchOptions): Promise<FetchedPackage[]> {
  const apt = new Apt(inputs, options);
  await apt.check();
  options.onProgress(`downloading ${inputs.packages.length} pinned packages of ${inputs.release}`);
  const packages = await download(apt, inputs, options);
  const fetched: FetchedPackage[] = [];
  for (const pinned of packages) fetched.push(await unpack(apt, pinned, options.unpinned !== undefined));
  return fetched;
}

async function download(apt: Apt, inputs: DebianInputs, options: FetchOptions): Promise<readonly DebianPackage[]> {
  if ((await apt.download(inputs.packages)) === undefined) return inputs.packages;
  options.onProgress("fetching package lists into a private folder");
  const updated = await apt.update();
  const failure = await apt.download(inputs.packages);
  if (failure === undefined) return inputs.packages;

  const offered = await Promise.all(inputs.packages.map(({ name }) => apt.offered(name)));
  const gone = inputs.packages.flatMap((pinned, i) => {
    const versions = offered[i] ?? [];
    return versions.includes(pinned.version) ? [] : [{ pinned, versions }];
  });
  if (gone.length === 0) {
    throw new RunnerLayerError("APT_FAILED", `apt-get could not download the runner's packages: ${failure}; try again`);
  }
  if (offered.every((versions) => versions.length === 0)) {
    throw new RunnerLayerError(
      "APT_FAILED",
      `apt-get knows none of the runner's packages (${updated ?? failure}); check network and apt sources, and run again`,
    );
  }
  const list = gone
    .map(
      ({ pinned: { name, version }, versions }) =>
        `${name}: wanted ${version}, offered ${versions.join(", ") || "none"}`,
    )
    .join("; ");
  const none = gone.filter(({ versions }) => versions.length === 0);
  if (options.unpinned === undefined || none.length > 0) throw versionError(inputs, list, none.length > 0);

  options.onProgress(`warning: runner layer with other packages than pinned (${options.unpinned}): ${list}`);
  const chosen = inputs.packages.map((pinned, i) => {
    const versions = offered[i] ?? [];
    return versions.includes(pinned.version) ? pinned : { ...pinned, version: versions[0] ?? pinned.version };
  });
  const second = await apt.download(chosen);
  if (second !== undefined) throw new RunnerLayerError("APT_FAILED", `apt-get download: ${second}; try again`);
  return chosen;
}

function versionError(inputs: DebianInputs, list: string, none: boolean): RunnerLayerError {
  const remedy = none
    ? "Add apt sources that have them, or build the layer on such a machine and copy its cache folder runner-layer/"
    : `Update sealflow, build the layer where they are served and copy its cache folder runner-layer/, or set ${UNPINNED}="<reason>" to take what is offered: this gives every step another identity`;
  return new RunnerLayerError(
    "APT_VERSION",
    `runner layer: apt no longer offers what is pinned for ${inputs.release}: ${list}. ${remedy}`,
  );
}

/** Checks the package against the lock, then takes the files that the layer needs. */
async function unpack(apt: Apt, pinned: DebianPackage, anyBytes: boolean): Promise<FetchedPackage> {
  const { name, version } = pinned;
  const bytes = await readFile(await apt.file(name));
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  if (sha256 !== pinned.sha256 && !anyBytes) {
    throw new RunnerLayerError(
      "HASH",
      `package ${name} ${version}: SHA-256 is ${sha256}, the lock says ${pinned.sha256}; do not use this apt source`,
    );
  }
  const folder = await apt.unpack(name);
  const files = new Map<string, Buffer>();
  for (const [to, from] of Object.entries(pinned.files)) {
    const path = await realpath(join(folder, from)).catch(() => undefined);
    if (!path?.startsWith(folder + sep)) {
      throw new RunnerLayerError("APT_FAILED", `package ${name} ${version} has no file ${from}; it needs another lock`);
    }
    files.set(to, await readFile(path));
  }
  return { name, version, sha256, files };
}

/** apt-get with a private configuration. */
class Apt {
  private privateState = false;

  constructor(
    private readonly inputs: DebianInputs,
    private readonly options: FetchOptions,
  ) {}

  async check(): Promise<void> {
    const missing: string[] = [];
    for (const tool of ["apt-get", "apt-cache", "dpkg-deb"]) {
      await this.call(tool, ["--version"]).catch(() => missing.push(tool));
    }
    if (missing.length === 0) return;
    const needed = this.inputs.packages.map(({ name, version }) => `${name} ${version}`).join(", ");
    throw new RunnerLayerError(
      "APT_MISSING",
      `runner layer: ${missing.join(", ")} not found. It is made once, from packages of ${this.inputs.release} (${needed}), on a machine with apt-get and dpkg-deb (${UNPINNED}="<reason>" also takes other versions there). Run the same command on such a machine or in its container, then copy its cache folder runner-layer/ here`,
    );
  }

  /** @returns undefined, or why it failed */
  async download(packages: readonly DebianPackage[]): Promise<string | undefined> {
    const names = packages.map(({ name, version }) => `${name}:${this.inputs.architecture}=${version}`);
    const folder = await this.folder("debs");
    try {
      await this.call("apt-get", ["-qq", ...this.config(), "download", ...names], folder);
      return undefined;
    } catch (error) {
      return reason(error);
    }
  }

  /** Fresh lists in the private folder. A source that fails does not matter when the others have the packages. */
  async update(): Promise<string | undefined> {
    for (const folder of ["state/lists/partial", "cache/archives/partial"]) await this.folder(folder);
    // Hooks of the system's configuration touch its own folders, which is neither wanted nor allowed to everybody.
    const hooks = ["Pre-Invoke", "Post-Invoke", "Post-Invoke-Success"];
    await writeFile(
      join(this.options.work, "apt.conf"),
      hooks.map((hook) => `#clear APT::Update::${hook};\n`).join(""),
    );
    this.privateState = true;
    try {
      await this.call("apt-get", ["-qq", ...this.config(), "update"]);
      return undefined;
    } catch (error) {
      return reason(error);
    }
  }

  /** Versions on offer, the preferred one first. */
  async offered(name: string): Promise<string[]> {
    const madison = ["madison", `${name}:${this.inputs.architecture}`];
    const { stdout } = await this.call("apt-cache", [...this.config(), ...madison]).catch(() => ({ stdout: "" }));
    return [...new Set(stdout.split("\n").flatMap((line) => line.split("|")[1]?.trim() || []))];
  }

  /** The downloaded package: `<name>_<version>_<architecture>.deb`. */
  async file(name: string): Promise<string> {
    const folder = await this.folder("debs");
    const found = (await readdir(folder)).filter((file) => file.startsWith(`${name}_`) && file.endsWith(".deb"));
    if (found.length !== 1) {
      throw new RunnerLayerError("APT_FAILED", `apt-get download left ${found.length} files for ${name}; try again`);
    }
    return join(folder, found[0] as string);
  }

  /** @returns the folder with the package's files */
  async unpack(name: string): Promise<string> {
    const folder = await this.folder(`files/${name}`);
    try {
      await this.call("dpkg-deb", ["-x", await this.file(name), folder]);
    } catch (error) {
      if (error instanceof RunnerLayerError) throw error;
      throw new RunnerLayerError("APT_FAILED", `dpkg-deb could not unpack ${name}: ${reason(error)}`);
    }
    return realpath(folder);
  }

  private config(): string[] {
    // As root, apt would change to the user _apt, who may not write into our folder.
    const sandbox = ["-o", "APT::Sandbox::User=root"];
    if (!this.privateState) return sandbox;
    const { work } = this.options;
    return [
      ...["-c", join(work, "apt.conf"), ...sandbox],
      // Lists and archives by name, too: the system's configuration may give them absolute paths.
      ...["-o", `Dir::State=${join(work, "state")}`, "-o", `Dir::State::Lists=${join(work, "state", "lists")}`],
      ...["-o", `Dir::Cache=${join(work, "cache")}`, "-o", `Dir::Cache::Archives=${join(work, "cache", "archives")}`],
      ...["-o", "Dir::State::status=/var/lib/dpkg/status", "-o", "Acquire::Retries=3"],
    ];
  }

  private async folder(path: string): Promise<string> {
    const folder = join(this.options.work, path);
    await mkdir(folder, { recursive: true });
    return folder;
  }

  private call(tool: string, args: readonly string[], cwd?: string): Promise<{ stdout: string }> {
    const env = { ...(this.options.env ?? process.env), LC_ALL: "C", DEBIAN_FRONTEND: "noninteractive" };
    const limits = { timeout: TIMEOUT_MS, maxBuffer: 16 * 1024 * 1024 };
    return run(tool, args, { env, ...limits, ...(cwd ? { cwd } : {}) });
  }
}

/** The errors of apt's output, else what Node says; short. */
function reason(error: unknown): string {
  const { stderr, message, killed } = error as { stderr?: string; message: string; killed?: boolean };
  if (killed) return `no end within ${TIMEOUT_MS / 1000} s`;
  const lines = (stderr ?? "").split("\n").filter((line) => line.startsWith("E:"));
  return (lines.join("; ") || message).slice(0, 500);
}

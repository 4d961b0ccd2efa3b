/** apt-get, as root or not: it leaves the system as it is, and private lists are used where the system has none. */
import { execFile } from "node:child_process";
import { mkdir, readdir, realpath, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { RunnerLayerError } from "./errors";
import type { DebianInputs, DebianPackage } from "./inputs";

const run = promisify(execFile);

/** Of one command, in milliseconds. */
const TIMEOUT_MS = 5 * 60_000;

export const UNPINNED = "SEALFLOW_RUNNER_LAYER_UNPINNED";

export interface AptOptions {
  /** An empty folder of the caller, removed by the caller. */
  readonly work: string;
  /** Default: the process's own. */
  readonly env?: NodeJS.ProcessEnv;
}

export class Apt {
  private privateState = false;

  constructor(
    private readonly inputs: DebianInputs,
    private readonly options: AptOptions,
  ) {}

  /** @throws RunnerLayerError APT_MISSING */
  async check(tools: readonly string[]): Promise<void> {
    const missing: string[] = [];
    for (const tool of tools) await this.call(tool, ["--version"]).catch(() => missing.push(tool));
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

  /** @param deb file. @returns the folder with the package's files */
  async unpack(name: string, deb: string): Promise<string> {
    const folder = await this.folder(`files/${name}`);
    try {
      await this.call("dpkg-deb", ["-x", deb, folder]);
    } catch (error) {
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

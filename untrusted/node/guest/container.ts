/**
 * Starts the container exactly as the admitted request says: arguments, environment, capabilities, masks, mounts.
 * In namespaces with bubblewrap, or as a child of this process where there are none.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { chmod, copyFile, lstat, mkdir, readdir, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { GuestError } from "./errors";

/** The part of CreateContainerRequest that is carried out. */
export interface OciProcess {
  readonly Process: {
    readonly Args: readonly string[];
    readonly Env: readonly string[];
    readonly Cwd: string;
    readonly User: { readonly UID: number };
    readonly Capabilities: { readonly Bounding: readonly string[] };
  };
  readonly Root: { readonly Readonly: boolean };
  readonly Hostname: string;
  readonly Mounts: readonly { readonly destination: string; readonly source: string }[];
  readonly Linux: { readonly MaskedPaths: readonly string[]; readonly ReadonlyPaths: readonly string[] };
}

export interface ContainerPlaces {
  /** Unpacked image without the runner layer. */
  readonly root: string;
  /** Unpacked runner layer: what is below `/sealflow` in it. */
  readonly runner: string;
  /** For small files the container gets. */
  readonly files: string;
}

const RUNNER_PARTS = ["bin", "lib"];
const EPHEMERAL = "/run/kata-containers/sandbox/ephemeral/";

/** stdout and stderr of the runner come back as pipes. @throws GuestError UNSUPPORTED, IMAGE. */
export async function startContainer(
  oci: OciProcess,
  places: ContainerPlaces,
  mode: "namespaces" | "process",
): Promise<ChildProcess> {
  if (oci.Process.User.UID !== 0) throw new GuestError("UNSUPPORTED", "container: only uid 0 is simulated");
  const env = Object.fromEntries(
    oci.Process.Env.map((entry) => [entry.slice(0, entry.indexOf("=")), entry.slice(entry.indexOf("=") + 1)]),
  );
  const start = mode === "namespaces" ? inNamespaces : asChild;
  const { file, args, cwd } = await start(oci, places);
  return spawn(file, args, { env, cwd, stdio: ["ignore", "pipe", "pipe"] });
}

interface Start {
  readonly file: string;
  readonly args: readonly string[];
  readonly cwd: string;
}

/** Host name → its files in the container. */
async function pluggedFiles(oci: OciProcess, places: ContainerPlaces): Promise<string[]> {
  const contents: Record<string, string> = {
    "/etc/hosts": `127.0.0.1 localhost\n127.0.1.1 ${oci.Hostname}\n`,
    "/etc/hostname": `${oci.Hostname}\n`,
    "/etc/resolv.conf": "",
    "/dev/termination-log": "",
  };
  const args: string[] = [];
  await mkdir(places.files, { recursive: true, mode: 0o700 });
  for (const { destination } of oci.Mounts) {
    const content = contents[destination];
    if (content === undefined) continue;
    const path = join(places.files, destination.replaceAll("/", "_"));
    await writeFile(path, content, { mode: 0o644 });
    args.push("--bind", path, destination);
  }
  return args;
}

/** Where bubblewrap mounts by itself, beside the request's mounts. */
const MOUNT_PLACES = ["/proc", "/dev", "/sys", "/sealflow"];

/**
 * A container runtime makes the folders that mounts need, readable for everybody; bubblewrap would make them for root
 * only. What the image has stays as it is, also a link: bubblewrap resolves it inside the new root.
 */
async function makeMountFolders(oci: OciProcess, { root }: ContainerPlaces): Promise<void> {
  for (const folder of [...MOUNT_PLACES, ...oci.Mounts.map(({ destination }) => dirname(destination))]) {
    let path = root;
    for (const part of folder.split("/").filter((name) => name !== "")) {
      path = join(path, part);
      const there = await lstat(path).catch(() => undefined);
      if (there && !there.isDirectory()) break;
      if (there) continue;
      await mkdir(path);
      await chmod(path, 0o755);
    }
  }
}

async function inNamespaces(oci: OciProcess, places: ContainerPlaces): Promise<Start> {
  const library = join(places.runner, "lib");
  await makeMountFolders(oci, places);
  const plugged = await pluggedFiles(oci, places);
  const scratch = oci.Mounts.filter(({ source }) => source.startsWith(EPHEMERAL)).flatMap(({ destination }) => [
    ...["--perms", "0755", "--tmpfs", destination],
  ]);
  const args = [
    ...["--library-path", library, join(places.runner, "bin", "bwrap")],
    ...["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--hostname", oci.Hostname, "--die-with-parent"],
    ...["--cap-drop", "ALL", ...oci.Process.Capabilities.Bounding.flatMap((cap) => ["--cap-add", cap])],
    ...["--bind", places.root, "/"],
    ...(await runnerBinds(places.runner)),
    ...["--proc", "/proc", "--dev", "/dev", "--ro-bind-try", "/sys", "/sys"],
    ...plugged,
    ...scratch,
    ...masks(oci),
    ...(oci.Root.Readonly ? ["--remount-ro", "/"] : []),
    ...["--chdir", oci.Process.Cwd, "--", ...oci.Process.Args],
  ];
  return { file: join(library, "ld.so"), args, cwd: "/" };
}

/** Each part on its own, so that scratch can be mounted between them. */
async function runnerBinds(runner: string): Promise<string[]> {
  const names = await readdir(runner);
  return names.sort().flatMap((name) => ["--ro-bind", join(runner, name), `/sealflow/${name}`]);
}

/** As the runtime does it: files are covered by /dev/null, folders by an empty tmpfs. What does not exist needs no mask. */
function masks(oci: OciProcess): string[] {
  const { MaskedPaths, ReadonlyPaths } = oci.Linux;
  return [
    ...MaskedPaths.filter(isBelowProc).flatMap((path) => maskOf(path)),
    ...ReadonlyPaths.filter(isBelowProc).flatMap((path) => ["--ro-bind-try", path, path]),
  ];
}

const isBelowProc = (path: string): boolean => path.startsWith("/proc/");
const PROC_FOLDERS = new Set(["/proc/acpi", "/proc/asound", "/proc/scsi"]);

function maskOf(path: string): string[] {
  if (!readdirSync("/proc").includes(path.slice("/proc/".length))) return [];
  return PROC_FOLDERS.has(path) ? ["--tmpfs", path, "--remount-ro", path] : ["--ro-bind", "/dev/null", path];
}

/** The root is an ordinary folder; the runner finds everything from its own place in it. */
async function asChild(oci: OciProcess, places: ContainerPlaces): Promise<Start> {
  const base = join(places.root, "sealflow");
  await mkdir(join(base, "scratch"), { recursive: true, mode: 0o755 });
  for (const name of await readdir(places.runner)) {
    // Its own place is that of the real file, so the runner itself is copied.
    if (RUNNER_PARTS.includes(name)) await symlink(join(places.runner, name), join(base, name));
    else if (/\.js$/.test(name)) await copyFile(join(places.runner, name), join(base, name));
  }
  const [file, ...args] = oci.Process.Args.map((arg) => (arg.startsWith("/sealflow/") ? join(places.root, arg) : arg));
  if (!file) throw new GuestError("UNSUPPORTED", "container: no command");
  return { file, args, cwd: places.root };
}

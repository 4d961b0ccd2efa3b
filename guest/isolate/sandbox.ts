/**
 * What a program may see, as arguments of bubblewrap. Pure but for a look at the image's top level. The new root is an
 * empty tmpfs in which everything is named: what is not listed here is not there.
 */
import { lstatSync, readdirSync, readlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Layout } from "../layout";

/** Uid and gid of every program; nothing else runs with it. */
export const PROGRAM_ID = 65532;

/**
 * capability: the runner has CAP_SYS_ADMIN (it is root of the guest's container), so no user namespace is needed, and a
 * fresh /proc can be mounted although the container's is masked. userns: the program gets a uid of its own and a user
 * namespace; works where /proc is not masked. userns-same-uid: as that, but outside of its namespaces the program's uid
 * is the runner's, for simulated guests of an ordinary user, who has no other uid to give. capability-same-uid: for
 * those where /proc is masked: the guest's only uid without any capability, with namespaces as under capability. The
 * first process of its own namespaces, which holds nothing, is then in the program's reach; the runner is not.
 */
export type Means = "capability" | "userns" | "userns-same-uid" | "capability-same-uid";

/** Never taken from the image: made anew, or none of the program's business. */
const OWN = new Set(["proc", "dev", "sys", "tmp", "run", "sealflow", "sealflow-owner"]);
/** Where Node's own loader is expected when the image has no C library. */
const LOADERS: Readonly<Record<string, string>> = {
  x64: "/lib64/ld-linux-x86-64.so.2",
  arm64: "/lib/ld-linux-aarch64.so.1",
};

/** File descriptors that bubblewrap gets. 3 is the launcher's. */
export const STATUS_FD = 4;
export const SECCOMP_FD = 5;

export interface SandboxOptions {
  readonly layout: Layout;
  readonly means: Means;
  /** Share the container's network. */
  readonly network: boolean;
}

/** Arguments up to and including `--`. */
export function sandboxArguments({ layout, means, network }: SandboxOptions): string[] {
  const { base, inputs, outputs, parameters } = layout;
  return [
    ...["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try", "--hostname", "step"],
    ...(network ? [] : ["--unshare-net"]),
    // For the launcher, which is Node and not the program yet: the image's file may name libraries to load.
    ...["--die-with-parent", "--new-session", "--clearenv", "--setenv", "OPENSSL_CONF", "/dev/null"],
    ...privileges(means),
    ...["--json-status-fd", String(STATUS_FD), "--seccomp", String(SECCOMP_FD)],
    ...imageRoot(layout.root, join(base, "lib")),
    ...["--proc", "/proc", "--dev", "/dev", "--perms", "1777", "--tmpfs", "/tmp", "--perms", "0755", "--tmpfs", "/run"],
    // The public part of the runner layer, so that an image without Node can run Node; not the runner.
    ...["--perms", "0755", "--tmpfs", "/sealflow", ...folder("/sealflow/bin")],
    ...["--ro-bind", join(base, "lib"), "/sealflow/lib", "--ro-bind", join(base, "bin", "node"), "/sealflow/bin/node"],
    ...["--ro-bind", inputs, "/sealflow/in", "--bind", outputs, "/sealflow/out"],
    ...["--ro-bind", parameters, "/sealflow/params.json"],
    ...["--remount-ro", "/sealflow", "--remount-ro", "/run", "--remount-ro", "/", "--chdir", "/", "--"],
  ];
}

function privileges(means: Means): string[] {
  const id = String(PROGRAM_ID);
  switch (means) {
    case "capability":
      // The launcher needs these two to become the program's uid, which ends them.
      return ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"];
    case "capability-same-uid":
      return ["--cap-drop", "ALL"];
    default:
      return ["--unshare-user", "--uid", id, "--gid", id, "--cap-drop", "ALL"];
  }
}

function imageRoot(root: string, libraries: string): string[] {
  const args: string[] = [];
  const names = readdirSync(root).sort();
  for (const name of names) {
    if (OWN.has(name)) continue;
    const path = join(root, name);
    const kind = lstatSync(path);
    if (kind.isSymbolicLink()) args.push("--symlink", readlinkSync(path), `/${name}`);
    else if (kind.isDirectory() || kind.isFile()) args.push("--ro-bind", path, `/${name}`);
  }
  return [...args, ...(hasLibraries(names) ? [] : standInLibraries(libraries))];
}

export const hasLibraries = (topLevel: readonly string[]): boolean =>
  topLevel.some((name) => ["lib", "lib64", "usr"].includes(name));

/** An image without any library gets those of the runner layer in their usual place: then `node` starts by its name. */
function standInLibraries(libraries: string): string[] {
  const loader = LOADERS[process.arch];
  if (!loader) return [];
  const files = readdirSync(libraries).filter((file) => /\.so(\.\d+)*$/.test(file) && file !== "ld.so");
  const links = files.flatMap((file) => ["--symlink", `/sealflow/lib/${file}`, `/lib/${file}`]);
  const named = files.includes(loader.slice(loader.lastIndexOf("/") + 1));
  const places = [...new Set(["/lib", dirname(loader)])].flatMap(folder);
  if (named && loader.startsWith("/lib/")) return [...places, ...links];
  return [...places, ...links, "--symlink", "/sealflow/lib/ld.so", loader];
}

/** bubblewrap makes folders that a mount or link needs with mode 0700, which would keep the program out. */
const folder = (path: string): string[] => ["--perms", "0755", "--dir", path];

/** The folders as the program sees them. */
export const SEEN = { inputs: "/sealflow/in", outputs: "/sealflow/out", parameters: "/sealflow/params.json" } as const;

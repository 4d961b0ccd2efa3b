/**
 * One container of an ordinary pod, as a process of the host: it sees the host's files below a layer of its own that
 * takes what it writes, and its volumes in their places. Its processes have a namespace of their own, whose first is
 * the command, as in a container: Argo's executor signals every process it can see (pid -1) when it is told to end.
 * That is no isolation; it is enough to run what we know.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Container } from "./types";

/** What stands for an image. */
export interface Program {
  /** The image's files, unpacked, over those of the host. Default: the host's alone. */
  readonly files?: string;
  /** Folder that comes first on PATH. */
  readonly bin?: string;
  /** In place of the image's entry point, for containers without a command. */
  readonly command?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export interface ProgramStart {
  readonly container: Container;
  readonly program: Program;
  readonly env: Readonly<Record<string, string>>;
  /** Volume → folder of the host. */
  readonly volumes: Readonly<Record<string, string>>;
  /** Folder of the pod. */
  readonly folder: string;
  readonly log: string;
  /** File of the host that takes what the container says about its end. */
  readonly lastWords: string;
}

/** Where the program's folder is found inside. */
const BIN = "/mnt";
/** Where volumes wait for their places. */
const PLACE = ".sealflow-volumes";
/** Where Kubernetes puts a container's last words when its manifest names no place. */
const LAST_WORDS = "/dev/termination-log";
const DEVICES = ["null", "zero", "full", "random", "urandom", "tty"];
const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/** @throws Error for a container whose command is not known. */
export function startProgram(start: ProgramStart): ChildProcess {
  const { container, program, env, volumes, folder, log, lastWords } = start;
  const command = [...(container.command ?? program.command ?? []), ...(container.args ?? [])];
  if (command.length === 0) throw new Error(`${container.name}: no command, and images are not unpacked here`);
  const own = join(folder, "roots", container.name);
  mkdirSync(own, { recursive: true });
  const root = join(own, "root");
  writeFileSync(lastWords, "", { mode: 0o666 });
  const mounts = (container.volumeMounts ?? []).map(({ name, mountPath, subPath }) => {
    const from = volumes[name];
    if (from === undefined) throw new Error(`${container.name}: there is no volume ${name}`);
    return { source: quoted(join(from, subPath ?? "")), target: quoted(mountPath) };
  });
  mounts.push({ source: quoted(lastWords), target: quoted(container.terminationMessagePath ?? LAST_WORDS) });
  const dev = join(root, "dev");
  const inside = [
    "set -e",
    ...mounts.flatMap(({ target }, n) => {
      const from = `/${PLACE}/${n}`;
      const parent = `"$(dirname ${target})"`;
      return [
        `if [ -d ${from} ]; then mkdir -p ${target}; else mkdir -p ${parent}; touch ${target}; fi`,
        `mount --bind ${from} ${target}`,
      ];
    }),
    'cd "$1"',
    "shift",
    'exec "$@"',
  ];
  const lines = [
    "set -e",
    "mount --make-rprivate /",
    `mount -t tmpfs tmpfs ${quoted(own)}`,
    `mkdir ${["up", "work", "root"].map((name) => quoted(join(own, name))).join(" ")}`,
    `mount -t overlay overlay -o ${quoted(`lowerdir=/,upperdir=${join(own, "up")},workdir=${join(own, "work")}`)} ${quoted(root)}`,
    `mount --rbind /sys ${quoted(join(root, "sys"))}`,
    // Its own: what is written below /dev, such as last words, must not get into the host's.
    `mount -t tmpfs tmpfs ${quoted(dev)}`,
    ...DEVICES.map((name) => `touch ${quoted(join(dev, name))}; mount --bind /dev/${name} ${quoted(join(dev, name))}`),
    `mkdir ${quoted(join(dev, "shm"))}`,
    `ln -s /proc/self/fd ${quoted(join(dev, "fd"))}`,
    `mount -t proc proc ${quoted(join(root, "proc"))}`,
    ...(program.files ? laidOver(program.files, root) : []),
    ...(program.bin ? [`mount --bind ${quoted(program.bin)} ${quoted(join(root, BIN))}`] : []),
    // Brought in at a place of ours, and to theirs from inside: links on the way must not lead to the host's folders.
    ...mounts.flatMap(({ source }, n) => {
      const at = quoted(join(root, PLACE, String(n)));
      return [
        `[ -e ${source} ] || mkdir -p ${source}`,
        `if [ -d ${source} ]; then mkdir -p ${at}; else mkdir -p ${quoted(join(root, PLACE))}; touch ${at}; fi`,
        `mount --bind ${source} ${at}`,
      ];
    }),
    `exec chroot ${quoted(root)} /bin/sh -c ${quoted(inside.join("\n"))} sh ${quoted(container.workingDir ?? "/")} "$@"`,
  ];
  const out = openSync(log, "a", 0o600);
  const user = process.getuid?.() === 0 ? [] : ["--user", "--map-root-user"];
  const namespaces = [...user, "--mount", "--pid", "--fork", "--kill-child"];
  const path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  const child = spawn("unshare", [...namespaces, "/bin/sh", "-c", lines.join("\n"), "sh", ...command], {
    env: { PATH: program.bin ? `${BIN}:${path}` : path, HOME: "/root", ...program.env, ...env },
    stdio: ["ignore", out, out],
    cwd: "/",
    // A group of its own, so that what it started ends with it.
    detached: true,
  });
  closeSync(out);
  return child;
}

/**
 * One by one: an overlay takes no two layers of which one contains the other. An absolute link of the host in an entry's
 * place would lead out of the new root, so it goes first; folders come before what is in them.
 */
const laidOver = (files: string, root: string): string[] => [
  `cd ${quoted(files)}`,
  `root=${quoted(root)}`,
  'inside() { case "$(readlink "$root/$1")" in /*) rm "$root/$1" ;; esac; }',
  'find . -type d | while read -r d; do inside "$d"; mkdir -p "$root/$d"; done',
  'find . -type l | while read -r l; do rm -rf "$root/$l"; ln -s "$(readlink "$l")" "$root/$l"; done',
  'find . -type f | while read -r f; do inside "$f"; [ -e "$root/$f" ] || : >"$root/$f"; mount --bind "$f" "$root/$f"; done',
  "cd /",
];

/** Signals a container's process and all it started. */
export function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, signal);
  } catch {
    // It has ended by itself.
  }
}

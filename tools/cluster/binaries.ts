/**
 * The programs of a control plane: those of KUBEBUILDER_ASSETS, else built once from pinned Go modules into the cache.
 * Not meant for production use: they are for tests and for trying things out.
 */
import { createHash } from "node:crypto";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { basename, join, resolve } from "node:path";
import { type EngineProgress, type OnProgress, packageRoot } from "../../cli/engine";
import { cacheRoot, fillFolder, lockFolder } from "../../cli/engine/cache";
import { buildTools, findGo } from "../../cli/engine/go-build";
import { which } from "../../cli/engine/path-engine";
import { lastWords, run } from "../../cli/engine/process";

/** What envtest and we call the folder with a control plane's programs. */
export const ASSETS_VARIABLE = "KUBEBUILDER_ASSETS";
/** As the module pins it; without the stamp the API server calls itself v0.0.0. */
const KUBERNETES_VERSION = "1.36.3";
const VERSION_PACKAGE = "k8s.io/component-base/version";

export type Program =
  | "etcd"
  | "kube-apiserver"
  | "kube-controller-manager"
  | "kube-scheduler"
  | "kubectl"
  | "workflow-controller"
  | "argoexec";
export type Programs = Readonly<Record<Program, string>>;
/** For one download, in milliseconds. */
const FETCH_MS = 15 * 60_000;
type Report = (phase: EngineProgress["phase"], message: string) => void;

interface Family {
  /** Folder below tools/ with go.mod and go.sum. */
  readonly module: string;
  readonly programs: readonly Program[];
  /** Another number after a change of how it is built. */
  readonly recipe: number;
  /** Fills `<root>/bin`. @returns why it did not work. */
  make(root: string, module: string, report: Report): Promise<string | undefined>;
}

const FAMILIES: readonly Family[] = [
  {
    module: "kubernetes",
    programs: ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl"],
    recipe: 2,
    make: (root, module, report) => {
      const [major, minor] = KUBERNETES_VERSION.split(".");
      const stamps = { gitVersion: `v${KUBERNETES_VERSION}`, gitMajor: major, gitMinor: minor };
      const set = Object.entries(stamps).map(([name, value]) => `-X ${VERSION_PACKAGE}.${name}=${value}`);
      const flags = ["-ldflags", `-s -w ${set.join(" ")}`];
      return buildTools({
        bin: join(root, "bin"),
        module,
        what: "the Kubernetes control plane",
        packages: 1900,
        flags,
        report,
      });
    },
  },
  {
    module: "etcd",
    programs: ["etcd"],
    recipe: 2,
    make: async (root, module, report) => {
      const bin = join(root, "bin");
      const flags = ["-ldflags", "-s -w"];
      const why = await buildTools({ bin, module, what: "etcd", packages: 600, flags, report });
      // Go names it after the last part of its package.
      if (why === undefined) renameSync(join(bin, "server"), join(bin, "etcd"));
      return why;
    },
  },
  { module: "argo", programs: ["workflow-controller", "argoexec"], recipe: 3, make: makeArgo },
];

const ARGO = "github.com/argoproj/argo-workflows/v3";

/**
 * Argo's archive on the module proxy lacks one file of its executor. So it is built from a copy of the module, with one
 * of our own laid in; what it depends on comes from Go's caches as usual.
 */
async function makeArgo(root: string, module: string, report: Report): Promise<string | undefined> {
  const found = await findGo(process.env.PATH);
  if ("why" in found) return found.why;
  report("download", "fetching Argo Workflows");
  const env = { ...process.env, GOFLAGS: "-mod=readonly", GOWORK: "off" };
  const download = await run(found.go, ["mod", "download", "-json", ARGO], { cwd: module, env, timeoutMs: FETCH_MS });
  if (download.code !== 0) return `fetching Argo Workflows failed: ${lastWords(download)}`;
  const upstream = (JSON.parse(download.stdout) as { Dir: string }).Dir;
  const source = join(root, "source");
  const copy = join(source, "argo");
  // The module cache is read-only, and so are copies of its folders.
  const copied = await run("sh", ["-c", 'cp -r "$1" "$2" && chmod -R u+w "$2"', "sh", upstream, ensureFolder(copy)]);
  if (copied.code !== 0) return `copying Argo Workflows failed: ${lastWords(copied)}`;
  const patched = join(copy, basename(upstream));
  for (const file of overlayFiles(module)) {
    copyFileSync(join(module, "overlay", file), join(patched, "workflow", "executor", "osspecific", file));
  }
  const pinned = readFileSync(join(module, "go.mod"), "utf8");
  writeFileSync(join(source, "go.mod"), `${pinned}\nreplace ${ARGO} => ${patched}\n`);
  copyFileSync(join(module, "go.sum"), join(source, "go.sum"));
  const flags = ["-ldflags", "-s -w"];
  const bin = join(root, "bin");
  const why = await buildTools({ bin, module: source, what: "Argo Workflows", packages: 2300, flags, report });
  if (why !== undefined) return why;
  const from = join(patched, "manifests", "base", "crds", "minimal");
  for (const file of readdirSync(from).filter((name) => name.startsWith("argoproj.io_"))) {
    copyFileSync(join(from, file), join(ensureFolder(join(root, "crds")), file));
  }
  rmSync(source, { recursive: true, force: true });
  return undefined;
}

function ensureFolder(folder: string): string {
  mkdirSync(folder, { recursive: true });
  return folder;
}

const overlayFiles = (module: string): string[] => {
  const folder = join(module, "overlay");
  return existsSync(folder) ? readdirSync(folder) : [];
};

const moduleFolder = (family: Family): string => join(packageRoot(), "tools", family.module);

/** Another pin, recipe or platform is another folder. */
function cacheFolder(family: Family, env: NodeJS.ProcessEnv): string {
  const module = moduleFolder(family);
  const hash = createHash("sha256").update(
    `${family.recipe}\n${KUBERNETES_VERSION}\n${process.platform}-${process.arch}\n`,
  );
  const files = ["go.mod", "go.sum", ...overlayFiles(module).map((file) => join("overlay", file))];
  for (const file of files) hash.update(readFileSync(join(module, file)));
  return join(cacheRoot(env), "cluster", `${family.module}-${hash.digest("hex").slice(0, 16)}`);
}

function assetOf(program: Program, env: NodeJS.ProcessEnv): string | undefined {
  const folder = env[ASSETS_VARIABLE];
  if (!folder) return undefined;
  const file = resolve(folder, program);
  return existsSync(file) ? file : undefined;
}

interface Wanted {
  /** Also the workflow controller and its executor. */
  readonly argo?: boolean;
}
const familiesOf = ({ argo = false }: Wanted): Family[] => FAMILIES.filter(({ module }) => argo || module !== "argo");

/** Programs of a family that KUBEBUILDER_ASSETS does not have. */
const lacking = (family: Family, env: NodeJS.ProcessEnv): Program[] =>
  family.programs.filter((program) => assetOf(program, env) === undefined);

const isBuilt = (folder: string, family: Family): boolean =>
  family.programs.every((program) => existsSync(join(folder, "bin", program)));

/**
 * Whether a cluster can be started here, for tests that must say why not. Builds nothing.
 * @returns the reason with what to install; undefined when it can
 */
export function clusterMissing(wanted: Wanted = {}, env: NodeJS.ProcessEnv = process.env): string | undefined {
  if (process.platform !== "linux") return "the test cluster runs on Linux only";
  const unbuilt = familiesOf(wanted).filter(
    (family) => lacking(family, env).length > 0 && !isBuilt(cacheFolder(family, env), family),
  );
  if (unbuilt.length === 0 || which("go", `${env.PATH ?? ""}:/usr/local/go/bin`) !== undefined) return undefined;
  const names = unbuilt.flatMap((family) => lacking(family, env)).join(", ");
  return `no ${names}; install Go (https://go.dev/doc/install), or set ${ASSETS_VARIABLE} to a folder that has them`;
}

/**
 * Finds or builds the programs.
 * @throws Error with what to install when there is no way to have one of them
 */
export async function ensureBinaries(
  wanted: Wanted & { onProgress?: OnProgress | undefined; env?: NodeJS.ProcessEnv } = {},
): Promise<{ programs: Partial<Record<Program, string>>; crds: string | undefined }> {
  const env = wanted.env ?? process.env;
  const started = Date.now();
  const report: Report = (phase, message) =>
    wanted.onProgress?.({ phase, message, elapsed: (Date.now() - started) / 1000 });
  const programs: Partial<Record<Program, string>> = {};
  let crds: string | undefined;
  for (const family of familiesOf(wanted)) {
    const folder = cacheFolder(family, env);
    // The CRDs come with the build, so Argo is always ours.
    if (lacking(family, env).length > 0 || family.module === "argo") await ensureBuilt(folder, family, report);
    for (const program of family.programs) {
      programs[program] = assetOf(program, env) ?? join(folder, "bin", program);
    }
    if (family.module === "argo") crds = join(folder, "crds");
  }
  return { programs, crds };
}

async function ensureBuilt(folder: string, family: Family, report: Report): Promise<void> {
  if (isBuilt(folder, family)) return;
  let told = false;
  const unlock = await lockFolder(folder, (pid) => {
    if (!told) report("wait", `process ${pid} is building ${family.programs.join(", ")}; waiting for it`);
    told = true;
  });
  try {
    if (isBuilt(folder, family)) return;
    await fillFolder(folder, async (fresh) => {
      const why = await family.make(fresh, moduleFolder(family), report);
      if (why !== undefined) {
        throw new Error(
          `${family.programs.join(", ")} cannot be built here: ${why}. ` +
            `Install Go (https://go.dev/doc/install), or set ${ASSETS_VARIABLE} to a folder that has them.`,
        );
      }
    });
  } finally {
    unlock();
  }
}

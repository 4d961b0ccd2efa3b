/** A Pulumi project in a temporary folder that uses this checkout's plugin and package, with the real engine. */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { type PulumiResult, runPulumi } from "../../cli/engine";

const CHECKOUT = path.resolve(__dirname, "../..");

export interface StateResource {
  readonly urn: string;
  readonly type: string;
  readonly id?: string;
  readonly inputs?: Record<string, unknown>;
  readonly outputs?: Record<string, unknown>;
}

/** Where commands run. */
export interface ProjectPlace {
  readonly dir: string;
  /** Its `.sealflow`. */
  readonly home: string;
}

export interface Project extends ProjectPlace {
  /** Writes a file of the project, making its folders. */
  write(file: string, content: string): void;
  read(file: string): string;
  /** Runs Pulumi; output without colours. */
  pulumi(args: string[], env?: NodeJS.ProcessEnv): Promise<PulumiResult>;
  /** As `pulumi`, and fails the test with the whole output when the command does. */
  ok(args: string[], env?: NodeJS.ProcessEnv): Promise<string>;
  /** Resources of a stack by name, as exported: secrets are ciphertext. */
  state(stack?: string): Promise<Record<string, StateResource>>;
  remove(): void;
}

/** @param program text of stacks/index.js */
export function createProject(program: string): Project {
  build();
  const dir = mkdtempSync(path.join(tmpdir(), "sealflow-project-"));
  const home = path.join(dir, ".sealflow");
  const project: Project = {
    dir,
    home,
    write(file, content) {
      const target = path.join(dir, file);
      mkdirSync(path.dirname(target), { recursive: true });
      writeFileSync(target, content);
    },
    read: (file) => readFileSync(path.join(dir, file), "utf8"),
    pulumi: (args, env = {}) =>
      runPulumi([...args, "--non-interactive", "--color", "never"], { cwd: dir, stdio: "pipe", env }),
    async ok(args, env) {
      const { code, stdout, stderr } = await project.pulumi(args, env);
      if (code !== 0) throw new Error(`pulumi ${args.join(" ")}: exit ${code}\n${stdout}\n${stderr}`);
      return stdout + stderr;
    },
    async state(stack = "dev") {
      const exported = JSON.parse((await project.pulumi(["stack", "export", "-s", stack])).stdout);
      const resources: StateResource[] = exported.deployment.resources ?? [];
      return Object.fromEntries(resources.map((resource) => [resource.urn.split("::").pop() ?? "", resource]));
    },
    remove: () => rmSync(dir, { recursive: true, force: true }),
  };
  project.write(
    "Pulumi.yaml",
    [
      "name: project",
      "runtime: nodejs",
      "main: stacks/index.js",
      "stackConfigDir: .sealflow/pulumi/config",
      `plugins: {providers: [{name: sealflow, path: ${path.join(CHECKOUT, "plugin")}}]}`,
      "",
    ].join("\n"),
  );
  project.write("package.json", '{"name": "project", "private": true}\n');
  project.write("stacks/index.js", program);
  project.write("node_modules/.keep", "");
  symlinkSync(CHECKOUT, path.join(dir, "node_modules/sealflow"));
  symlinkSync(path.join(CHECKOUT, "node_modules/@pulumi"), path.join(dir, "node_modules/@pulumi"));
  return project;
}

/** The plugin runs from dist/. */
function build(): void {
  const { status, stderr } = spawnSync(process.execPath, [path.join(CHECKOUT, "tools/build.js"), "--quiet"], {
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`build failed: ${stderr}`);
}

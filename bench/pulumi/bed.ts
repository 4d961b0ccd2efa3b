/** A Pulumi project in a temporary folder, and how long the engine works on it. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { runPulumi } from "../../cli/engine";
import { ROOT } from "../support/child";
import { type Peak, watchMemory } from "./memory";

export interface Timed {
  readonly seconds: number;
  /** CPU seconds of all processes together. */
  readonly cpu: number;
  /** Of all processes together, at the worst moment. */
  readonly memoryMiB: number;
}

export interface BedArgs {
  /** Folder of the plugin for the package sealflow. */
  readonly plugin: (folder: string) => string;
  /** Text of the program. */
  readonly program: string;
  /** After the files are there; what it gives runs at the end. */
  readonly start?: (folder: string) => Promise<() => Promise<void>>;
}

export class Bed {
  readonly #folder: string;
  readonly #stop: () => Promise<void>;

  private constructor(folder: string, stop: () => Promise<void>) {
    this.#folder = folder;
    this.#stop = stop;
  }

  static async create({ plugin, program, start }: BedArgs): Promise<Bed> {
    const folder = mkdtempSync(path.join(tmpdir(), "sealflow-bench-"));
    const write = (file: string, text: string) => {
      mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
      writeFileSync(path.join(folder, file), text);
    };
    write(
      "Pulumi.yaml",
      [
        "name: bench",
        // As `sealflow init` writes it.
        "runtime: {name: nodejs, options: {nodeargs: --max-semi-space-size=4 --heap-growing-percent=10}}",
        "main: index.js",
        "stackConfigDir: .sealflow/pulumi/config",
        `plugins: {providers: [{name: sealflow, path: ${JSON.stringify(plugin(folder))}}]}`,
        "",
      ].join("\n"),
    );
    write("package.json", '{"name": "bench", "private": true}\n');
    write("index.js", program);
    mkdirSync(path.join(folder, "node_modules"));
    symlinkSync(ROOT, path.join(folder, "node_modules", "sealflow"));
    symlinkSync(path.join(ROOT, "node_modules", "@pulumi"), path.join(folder, "node_modules", "@pulumi"));
    const bed = new Bed(folder, (await start?.(folder)) ?? (async () => {}));
    await bed.pulumi("stack", "init", "dev");
    return bed;
  }

  /** @throws Error with Pulumi's output when it fails. */
  async pulumi(...args: string[]): Promise<Timed> {
    const peak: Peak = watchMemory(process.pid);
    const started = performance.now();
    const all = [...args, "--non-interactive", "--color", "never"];
    const { code, stdout, stderr } = await runPulumi(all, { cwd: this.#folder, stdio: "pipe" });
    const seconds = (performance.now() - started) / 1000;
    const { memoryMiB, cpu } = peak.stop();
    if (code !== 0) throw new Error(`pulumi ${args.join(" ")}: exit ${code}\n${stdout}\n${stderr}`);
    return { seconds, cpu, memoryMiB };
  }

  async resources(): Promise<number> {
    const { stdout } = await runPulumi(["stack", "export"], { cwd: this.#folder, stdio: "pipe" });
    return (JSON.parse(stdout).deployment.resources as unknown[]).length;
  }

  async close(): Promise<void> {
    await this.#stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

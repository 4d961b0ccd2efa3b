/**
 * What exists in a stand-in cloud, in one folder, so that it outlives runs and processes:
 * - resources.json: everything there is, by id
 * - calls.jsonl: every call that a provider took, in order
 * - faults.json: what is to go wrong (faults.ts)
 * - settings.json: values that a test chooses, such as the kubeconfig of clusters, or their endpoint and authority
 */
import { appendFileSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import * as path from "node:path";
import type { Json } from "../../../provider/server/values";
import type { Fault } from "./faults";

export interface Existing {
  readonly id: string;
  readonly type: string;
  /** Pulumi's name of it; empty for what came without Pulumi, such as a pod's VM. */
  readonly name: string;
  readonly inputs: Readonly<Record<string, Json>>;
  readonly outputs: Readonly<Record<string, Json>>;
}

export interface Call {
  readonly method: "create" | "update" | "delete" | "read" | "invoke";
  readonly type: string;
  readonly name: string;
  readonly id?: string;
  readonly inputs?: Readonly<Record<string, Json>>;
  /** Why it was refused; absent: done. */
  readonly error?: string;
}

export class Store {
  constructor(readonly dir: string) {
    mkdirSync(dir, { recursive: true });
  }

  all(): Existing[] {
    return Object.values(this.#read<Record<string, Existing>>("resources.json", {}));
  }

  get(id: string): Existing | undefined {
    return this.#read<Record<string, Existing>>("resources.json", {})[id];
  }

  put(resource: Existing): void {
    this.#write("resources.json", {
      ...this.#read<Record<string, Existing>>("resources.json", {}),
      [resource.id]: resource,
    });
  }

  remove(id: string): void {
    const { [id]: _gone, ...rest } = this.#read<Record<string, Existing>>("resources.json", {});
    this.#write("resources.json", rest);
  }

  record(call: Call): void {
    appendFileSync(path.join(this.dir, "calls.jsonl"), `${JSON.stringify(call)}\n`);
  }

  /** Calls that took effect or were refused, previews not among them. */
  calls(): Call[] {
    const file = path.join(this.dir, "calls.jsonl");
    if (!existsSync(file)) return [];
    const lines = readFileSync(file, "utf8").split("\n").filter(Boolean);
    return lines.map((line) => JSON.parse(line) as Call);
  }

  get faults(): Fault[] {
    return this.#read("faults.json", []);
  }

  set faults(faults: readonly Fault[]) {
    this.#write("faults.json", faults);
  }

  get settings(): Readonly<Record<string, string>> {
    return this.#read("settings.json", {});
  }

  set settings(settings: Readonly<Record<string, string>>) {
    this.#write("settings.json", settings);
  }

  #read<T>(file: string, fallback: T): T {
    const full = path.join(this.dir, file);
    return existsSync(full) ? JSON.parse(readFileSync(full, "utf8")) : fallback;
  }

  #write(file: string, value: unknown): void {
    const full = path.join(this.dir, file);
    writeFileSync(`${full}.part`, JSON.stringify(value, null, 1));
    renameSync(`${full}.part`, full);
  }
}

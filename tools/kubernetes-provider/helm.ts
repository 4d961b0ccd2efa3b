/** `helm.sh/v3:Release`: recorded for tests to read. Nothing is rendered; named marker objects stand for its effect. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { plain, UNKNOWN, type Values } from "../../provider/server/values";
import { logicalNameOf, type Manifest, tokenOf } from "./objects";
import type { How, Made, Operations } from "./operations";

/** Folder with `releases.json` (written) and `markers.json` (read). */
export const HELM_VARIABLE = "SEALFLOW_TEST_HELM";

export const isRelease = (urn: string): boolean => tokenOf(urn) === "kubernetes:helm.sh/v3:Release";

/** One entry of `releases.json`, by `namespace/name`. Secrets in values are in clear: it is a test's own folder. */
export interface RecordedRelease {
  readonly chart: string;
  readonly version?: string;
  readonly repository?: string;
  readonly values: Record<string, unknown>;
  readonly inputs: Record<string, unknown>;
}

export class Releases {
  constructor(private readonly operations: () => Operations) {}

  async create(urn: string, inputs: Values, how: How): Promise<Made> {
    if (how.preview) return { id: "", outputs: { ...inputs, status: UNKNOWN } };
    const id = this.#put(urn, inputs);
    for (const marker of this.#markers(inputs)) await this.operations().applyObject(marker);
    const [namespace, name] = id.split("/") as [string, string];
    return { id, outputs: { ...inputs, name, namespace, status: { status: "deployed", name, namespace } } };
  }

  async update(urn: string, olds: Values, news: Values, how: How): Promise<Values> {
    const named = {
      ...news,
      name: news.name ?? olds.name ?? null,
      namespace: news.namespace ?? olds.namespace ?? null,
    };
    return (await this.create(urn, named, how)).outputs;
  }

  async read(_urn: string, id: string, before: { inputs: Values; outputs: Values }) {
    return this.#all()[id] === undefined ? undefined : { id, ...before };
  }

  async remove(urn: string, outputs: Values, { timeout }: How): Promise<void> {
    const all = this.#all();
    delete all[idOf(urn, outputs)];
    this.#write(all);
    for (const marker of this.#markers(outputs).reverse()) await this.operations().removeObject(marker, timeout);
  }

  #put(urn: string, inputs: Values): string {
    const given = plain(inputs) as Record<string, never>;
    const {
      repositoryOpts,
      values = {},
      version,
    } = given as {
      repositoryOpts?: { repo?: string };
      values?: Record<string, unknown>;
      version?: string;
    };
    const id = idOf(urn, inputs);
    const entry: RecordedRelease = {
      chart: chartOf(inputs),
      values,
      inputs: given,
      ...(version === undefined ? {} : { version }),
      ...(repositoryOpts?.repo === undefined ? {} : { repository: repositoryOpts.repo }),
    };
    this.#write({ ...this.#all(), [id]: entry });
    return id;
  }

  #markers(inputs: Values): Manifest[] {
    const file = join(this.#folder(), "markers.json");
    if (!existsSync(file)) return [];
    const all = JSON.parse(readFileSync(file, "utf8")) as Record<string, Manifest[]>;
    return [...(all[basename(chartOf(inputs))] ?? [])];
  }

  #folder(): string {
    const folder = process.env[HELM_VARIABLE];
    if (folder) return folder;
    throw new Error(`Kubernetes stand-in: helm.sh/v3:Release needs ${HELM_VARIABLE}, a folder to record releases in`);
  }

  #all(): Record<string, RecordedRelease> {
    const file = join(this.#folder(), "releases.json");
    return existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : {};
  }

  #write(all: Record<string, RecordedRelease>): void {
    mkdirSync(this.#folder(), { recursive: true, mode: 0o700 });
    writeFileSync(join(this.#folder(), "releases.json"), `${JSON.stringify(all, undefined, 2)}\n`, { mode: 0o600 });
  }
}

const chartOf = (inputs: Values): string => String(plain(inputs.chart ?? ""));

function idOf(urn: string, inputs: Values): string {
  const name = plain(inputs.name ?? null) ?? logicalNameOf(urn);
  return `${String(plain(inputs.namespace ?? null) ?? "default")}/${String(name)}`;
}

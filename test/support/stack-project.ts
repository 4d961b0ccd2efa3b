/**
 * A project whose stacks and examples are this checkout's own, in a temporary folder. Clouds are the stand-ins, as plugins
 * of their own; what exists in them lies in the folder, so tests read and change it.
 */
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { kubernetesProviderEnvironment } from "../../tools/kubernetes-provider";
import { type CliResult, ok, sealflow } from "./cli";
import { Store } from "./cloud-providers/store";
import type { StateResource } from "./engine-stack";
import type { ProjectPlace } from "./project";

const CHECKOUT = path.resolve(__dirname, "../..");
const CLOUDS = path.join(CHECKOUT, "test/support/cloud-providers/plugins");

export interface StackProject extends ProjectPlace {
  /** Of every command; tests add to it, such as KUBECONFIG. */
  readonly env: NodeJS.ProcessEnv;
  /** What exists in a stand-in cloud. */
  cloud(pkg: "azure-native" | "aws"): Store;
  /** `sealflow pulumi -- …` that goes well. */
  pulumi(...args: string[]): Promise<CliResult>;
  /** The same, with how it ends. */
  tryPulumi(...args: string[]): Promise<CliResult>;
  /** Makes a stack. @param config text for its configuration file, from `config:` on. */
  init(stack: string, config: string): Promise<void>;
  /** Of the checkout's template, with what a user fills in. @param filled each placeholder that the template has. */
  template(stack: string, filled: Readonly<Record<string, string>>): string;
  /** As exported: secrets are ciphertext. */
  exported(stack: string): Promise<string>;
  state(stack: string): Promise<StateResource[]>;
  remove(): void;
}

export function createStackProject(): StackProject {
  const dir = mkdtempSync(path.join(tmpdir(), "sealflow-stacks-"));
  const home = path.join(dir, ".sealflow");
  const clouds = path.join(dir, "clouds");
  const env: NodeJS.ProcessEnv = {
    ...kubernetesProviderEnvironment(),
    KUBECONFIG: "/nowhere",
    SEALFLOW_STAND_IN_CLOUDS: clouds,
  };
  const project: StackProject = {
    dir,
    home,
    env,
    cloud: (pkg) => new Store(path.join(clouds, pkg)),
    pulumi: (...args) => ok(project, ["pulumi", "--", "--non-interactive", ...args], env),
    tryPulumi: (...args) => sealflow(project, ["pulumi", "--", "--non-interactive", ...args], env),
    async init(stack, config) {
      await project.pulumi("stack", "init", stack);
      const file = path.join(home, `pulumi/config/Pulumi.${stack}.yaml`);
      const made = readFileSync(file, "utf8"); // has the salt
      writeFileSync(file, `${made.trim()}\n${config}`);
    },
    template(stack, filled) {
      let text = readFileSync(path.join(dir, `stacks/config/Pulumi.${stack}.yaml`), "utf8");
      for (const [from, to] of Object.entries(filled)) text = text.replaceAll(from, to);
      const missing = /^[^#]*<[a-z].*$/m.exec(text);
      if (missing) throw new Error(`Pulumi.${stack}.yaml: not filled in: ${missing[0].trim()}`);
      return text;
    },
    exported: async (stack) => (await project.pulumi("stack", "export", "-s", stack)).stdout,
    state: async (stack) => JSON.parse(await project.exported(stack)).deployment.resources ?? [],
    remove: () => rmSync(dir, { recursive: true, force: true, maxRetries: 3 }),
  };
  for (const folder of ["stacks", "examples/spam-filter"]) {
    cpSync(path.join(CHECKOUT, folder), path.join(dir, folder), { recursive: true });
  }
  mkdirSync(clouds);
  mkdirSync(path.join(dir, "node_modules"));
  for (const name of readdirSync(path.join(CHECKOUT, "node_modules"))) {
    symlinkSync(path.join(CHECKOUT, "node_modules", name), path.join(dir, "node_modules", name));
  }
  symlinkSync(CHECKOUT, path.join(dir, "node_modules/sealflow"));
  writeFileSync(path.join(dir, "Pulumi.yaml"), projectFile());
  writeFileSync(path.join(dir, "package.json"), '{"name": "project", "private": true}\n');
  return project;
}

/** The checkout's own, with the stand-in clouds as plugins. */
function projectFile(): string {
  const plugins = ["aws", "azure-native"].map(
    (name) => `    - name: ${name}\n      path: ${path.join(CLOUDS, name)}\n`,
  );
  return readFileSync(path.join(CHECKOUT, "Pulumi.yaml"), "utf8")
    .replace("path: plugin", `path: ${path.join(CHECKOUT, "plugin")}`)
    .replace("    - name: sealflow\n", `${plugins.join("")}    - name: sealflow\n`);
}

/** The relying party's place in a template. @param at default: a name that nobody answers to. */
export const relyingPartyFilled = (
  caPem: string,
  at: Readonly<Record<"kbsUrl" | "ledgerUrl" | "ledgerKey", string>> = {
    kbsUrl: "https://kbs.example.org",
    ledgerUrl: "https://ledger.example.org",
    ledgerKey: "WdZBSZWoJ6thog74HWyb9qMqD0zGCC1dzNwUxlKWsps",
  },
): Readonly<Record<string, string>> => ({
  "https://kbs.example.org": at.kbsUrl,
  "https://ledger.example.org": at.ledgerUrl,
  "<ledger's public key>": at.ledgerKey,
  "-----BEGIN CERTIFICATE-----\n      <certificate authority of both>\n      -----END CERTIFICATE-----": caPem
    .trim()
    .replaceAll("\n", "\n      "),
});

/**
 * Each stack of stacks/ as its configuration template says, previewed by the real engine: no account, no cluster, no
 * relying party is reached. Providers of clouds and of Kubernetes are the stand-ins, with their checks of every field.
 */
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { DAY_MS, makeCa } from "../../relying-party/tls";
import { kubernetesProviderEnvironment } from "../../tools/kubernetes-provider";
import { ok } from "../support/cli";
import type { Project } from "../support/project";

jest.setTimeout(600_000);

const CHECKOUT = path.resolve(__dirname, "../..");
const CLOUDS = path.join(CHECKOUT, "test/support/cloud-providers/plugins");
/** What a user fills in; the rest of a template is taken as it is. */
const FILLED: Readonly<Record<string, string>> = {
  "<subscription>": "11111111-2222-3333-4444-555555555555",
  "<group>": "images",
  "<gallery>": "gallery",
  "ami-<your image, docs/aws.md>": "ami-0123456789abcdef0",
  "<registry>/busybox@sha256:<digest>": `registry.example.org/busybox@sha256:${"a".repeat(64)}`,
  "<ledger's public key>": "WdZBSZWoJ6thog74HWyb9qMqD0zGCC1dzNwUxlKWsps",
  "acknowledgeUnboundInitdata: false": "acknowledgeUnboundInitdata: true",
};
const KUBECONFIG = `apiVersion: v1
kind: Config
clusters: [{ name: c, cluster: { server: "https://127.0.0.1:1" } }]
users: [{ name: u, user: { token: planted-kubeconfig-token } }]
contexts: [{ name: c, context: { cluster: c, user: u } }]
current-context: c
`;

let project: Project;
let ca: string;
let env: NodeJS.ProcessEnv;
beforeAll(async () => {
  ca = (await makeCa({ name: "test", now: Date.now(), notAfter: new Date(Date.now() + DAY_MS) })).certPem;
  const dir = mkdtempSync(path.join(tmpdir(), "sealflow-stacks-"));
  for (const folder of ["stacks", "examples/spam-filter"]) {
    cpSync(path.join(CHECKOUT, folder), path.join(dir, folder), { recursive: true });
  }
  mkdirSync(path.join(dir, "node_modules"));
  for (const name of [...readdirSync(path.join(CHECKOUT, "node_modules"))]) {
    symlinkSync(path.join(CHECKOUT, "node_modules", name), path.join(dir, "node_modules", name));
  }
  symlinkSync(CHECKOUT, path.join(dir, "node_modules/sealflow"));
  const plugins = ["aws", "azure-native"].map(
    (name) => `    - name: ${name}\n      path: ${path.join(CLOUDS, name)}\n`,
  );
  const yaml = readFileSync(path.join(CHECKOUT, "Pulumi.yaml"), "utf8");
  writeFileSync(
    path.join(dir, "Pulumi.yaml"),
    yaml
      .replace("path: plugin", `path: ${path.join(CHECKOUT, "plugin")}`)
      .replace("    - name: sealflow\n", `${plugins.join("")}    - name: sealflow\n`),
  );
  writeFileSync(path.join(dir, "package.json"), '{"name": "project", "private": true}\n');
  project = { dir, home: path.join(dir, ".sealflow") } as Project;
  mkdirSync(path.join(dir, "clouds"));
  env = {
    ...kubernetesProviderEnvironment(),
    KUBECONFIG: "/nowhere",
    SEALFLOW_STAND_IN_CLOUDS: path.join(dir, "clouds"),
  };
});
afterAll(() => rmSync(project.dir, { recursive: true, force: true }));

const pulumi = (...args: string[]) => ok(project, ["pulumi", "--", ...args], env);

/** stacks/kubernetes.ts works without any configuration; here its relying party is elsewhere, as the others' is. */
function templateOf(stack: string): string {
  if (stack !== "kubernetes") return readFileSync(path.join(project.dir, `stacks/config/Pulumi.${stack}.yaml`), "utf8");
  const [, party] = /^( {2}sealflow:relyingParty:\n(?: {4}.*\n)+)/m.exec(templateOf("azure")) ?? [];
  return `config:\n${party}`;
}

function configure(stack: string): void {
  let text = templateOf(stack);
  for (const [from, to] of Object.entries(FILLED)) text = text.replaceAll(from, to);
  const indented = ca.trim().replaceAll("\n", "\n      ");
  text = text.replace(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/, indented);
  expect(text).not.toMatch(/^[^#]*<[a-z]/m);
  const file = path.join(project.home, `pulumi/config/Pulumi.${stack}.yaml`);
  const made = readFileSync(file, "utf8"); // by `stack init`: the salt
  writeFileSync(file, `${made.trim()}\n${text}`);
}

it.each([
  ["azure", ["AksPeerPods", "CocoRuntime", "StepIdentity", "WorkflowTemplate"]],
  ["aws", ["EksPeerPods", "CocoRuntime", "StepIdentity", "WorkflowTemplate"]],
  ["baremetal", ["BareMetal", "CocoRuntime", "StepIdentity", "WorkflowTemplate"]],
  ["kubernetes", ["ExistingCluster", "StepIdentity", "WorkflowTemplate"]],
])("%s previews from its template, and shows what it would make", async (stack, kinds) => {
  await pulumi("stack", "init", stack);
  configure(stack);
  if (stack === "baremetal") await pulumi("config", "set", "--secret", "kubeconfig", "-s", stack, "--", KUBECONFIG);
  const { stdout } = await pulumi("preview", "-s", stack, "--non-interactive");
  for (const kind of kinds) expect(stdout).toContain(kind);
  expect(stdout).not.toContain("planted-kubeconfig-token");
});
